"""What every experiment card starts from: all settings, at the values of the paper's setting.

GTA5 -> Cityscapes, ResNet-101 DeepLab-V2, batch 2 + 2, SGD 2.5e-4 with poly .9. The cards and the
domain presets below say only what differs.
"""

import difflib

from ml_collections import ConfigDict


def base() -> ConfigDict:
    """All settings. A setting missing here does not exist: a card that sets one is refused."""
    c = ConfigDict()
    c.experiment = "labor"  # labor | segmentation
    c.seed = 0
    # oracle (ground truth answers) | people (launch/annotate.py) | segmenter (DatasetGAN alone)
    c.annotator = "oracle"
    c.annotator_wait = False  # wait for people in place; False stops and goes on at the next start
    # A warm-up checkpoint (WORKDIR/warmup of another run) to continue from, so that several methods
    # share one warm-up; "" trains it here.
    c.start_from = ""

    c.data = ConfigDict()
    c.data.root = "data"  # the folder that holds the data sets as downloaded
    c.data.dir = ""  # where prepared data sets live; "" = TFDS's own default
    c.data.classes = "cityscapes19"  # class table; image_folder brings its own ("")
    c.data.source = domain("gta5", root="GTA5", split="train")
    c.data.target = domain("cityscapes", root="Cityscapes", split="train")
    c.data.eval = domain("cityscapes", root="Cityscapes", split="val")
    c.data.source_batch = 2  # images per step over all devices
    c.data.target_batch = 2
    c.data.eval_batch = 4
    c.data.source_view = view((720, 1280))
    c.data.target_view = view((640, 1280))
    c.data.normalize = "caffe"  # caffe | imagenet | unit
    c.data.threads = 4  # reading threads per process
    c.data.workers = 0  # reading processes; 0 = threads only
    c.data.cache = False  # keep decoded images in memory

    c.weights = ""  # .pth or .npz to start from, see launch/weights.py
    c.align_corners = True  # how logits are raised to label resolution

    c.model = ConfigDict()
    c.model.backbone = "resnet101"
    c.model.style = "caffe"  # caffe | torchvision: where a bottleneck strides
    c.model.width = 32  # of unet and resnettiny only
    c.model.head = "v2"  # v2 | v3 | v3plus
    c.model.dilations = ()  # of the head; () = the published ones
    c.model.channels = 0  # of the v3 and v3plus heads; 0 = the published number
    c.model.dropout = 0.0  # of the v3 (published: 0.5) and v3plus (0.1) heads
    c.model.aux = True
    # shared | own | copied (its own backbone, made equal to the segmenter's at every phase) | none
    c.model.selector = "shared"
    c.model.selector_gradient = False  # may a shared selector's losses train the backbone?
    c.model.bn = "affine_frozen"  # train | affine_frozen | frozen
    c.model.bn_eps = 1e-5
    c.model.dtype = "bfloat16"  # compute; parameters stay float32

    c.optimizer = optimizer("sgd", lr=2.5e-4, momentum=0.9, weight_decay=5e-4, head_factor=10.0)

    c.discriminator = schedule(lr=1e-4, b1=0.9, b2=0.99)  # of Adam
    c.discriminator.width = 64
    c.discriminator.layers = 5
    c.discriminator.input = "softmax"  # softmax | entropy (ADVENT)
    c.discriminator.kind = "vanilla"  # vanilla | least_squares

    c.loss = ConfigDict()
    c.loss.source = 1.0  # L1
    c.loss.target = 1.0  # L2: answered pixels, or every labelled one in full supervision
    # Power of the inverse of a class's share of the source's labelled pixels, by which its pixels
    # weigh in all cross-entropies: 0 = alike, 1 = median frequency balancing (SegNet on CamVid).
    c.loss.balance = 0.0
    c.loss.aux = 0.1  # the auxiliary head's share in L1 and L2
    c.loss.adversarial = 0.001  # L3 on the main output; 0 trains no discriminator
    c.loss.adversarial_aux = 0.0002  # L3 on the auxiliary output
    c.loss.pseudo = 0.0  # IAST pseudo-labels train the segmenter too, after the warm-up
    c.loss.pseudo_start = 0.0  # share of the steps before they do; segmentation only
    c.loss.selector_source = 1.0
    c.loss.selector_target = 1.0
    c.loss.selector_pseudo = 1.0  # L5
    c.loss.discrepancy = 1.0  # L6
    c.loss.discrepancy_features = False  # L6 through the features too, not the heads alone
    c.loss.discrepancy_kind = "l1"  # l1 (MCD) | cosine (of the classifiers' weights)

    # iast (labels that pass IAST's thresholds, which the other settings move) | argmax (all)
    c.pseudo = ConfigDict(dict(rule="iast", alpha=0.2, beta=0.9, gamma=8.0))

    c.train = ConfigDict()
    c.train.steps = 40_000  # in all, warm-up included
    c.train.statistics = "each"  # of batch norm: each | shared | target, see steps/forward.py
    c.train.log_every = 50
    c.train.eval_every = 5_000  # 0 = only at the end
    c.train.checkpoint_every = 1_000  # 0 = only where a phase ends
    c.train.keep = 3
    c.train.tensorboard = True
    c.train.profile = ""  # "10:15" traces steps 10 to 15
    c.train.pictures = 4  # examples in the picture sheets

    c.rounds = ConfigDict()
    c.rounds.strategy = "spl"  # spl | ppl | random | entropy | margin | ripu
    c.rounds.share = 0.022  # of an image's pixels, over all rounds; 0 if points is set
    c.rounds.points = 0  # pixels per image, over all rounds; 0 if share is set
    # spl: what of a mask larger than the budget: top (highest discrepancy) | random (drawn evenly)
    c.rounds.cut = "top"
    c.rounds.per_class = False  # ppl: points are asked of every class in every round instead
    c.rounds.warmup = 10_000  # steps before the first round
    c.rounds.count = 5
    c.rounds.every = 2_000  # steps between rounds
    c.rounds.similarity = "cosine"  # of a pixel to its prototype: cosine | l2 | dot | kl
    c.rounds.probs = "mean"  # prototypes of mean | c1 | c2 | segmenter
    # ppl: whose argmax says of which class a pixel is: mean | c1 | c2 | both (it is then of two)
    c.rounds.class_of_pixel = "mean"
    c.rounds.void_counts = True  # does an asked pixel use the budget up if it has no answer?
    c.rounds.radius = 1  # ripu: half the side of the window that is scored
    c.rounds.pick = 1  # ripu: half the side of what is asked; points: radius 32, pick 0
    c.rounds.smallest = 0  # pixels below which a connected piece of a mask is a speck; 0 = none
    c.rounds.specks = "merge"  # merge (into the nearest piece's question) | leave (not asked; spl)

    c.eval = ConfigDict()
    c.eval.size = (640, 1280)  # the network's input; IoU is counted at label resolution
    c.eval.flip = False
    c.eval.scales = (1.0,)
    c.eval.folds = 0  # of the images, each of which chooses a checkpoint (DatasetGAN: 5); 0 = no
    return c.lock()


def domain(name: str, root: str = "", split: str = "train", names: str = "*", **options):
    """One data set: its builder, its folder under `data.root`, which split, which file names."""
    settings = dict(name=name, root=root, split=split, names=names, drop_bad=False)
    return ConfigDict({**settings, "options": ConfigDict(options)})


def view(size, **changes):
    """How training images are cut and coloured; `resize` is fixed, random_crop or scale_crop."""
    settings = dict(size=tuple(size), resize="fixed", flip=False, crop_height=(341, 950))
    settings |= dict(scale=(0.5, 2.0), brightness=0.0, contrast=0.0, saturation=0.0)
    settings |= dict(jitter_probability=1.0)
    return ConfigDict({**settings, **changes})


def optimizer(name: str, lr: float, **settings):
    """An optimiser, sgd or adam, with its schedule."""
    return schedule(lr, name=name, **settings)


def schedule(lr: float, **settings):
    """A learning rate by step, and the settings that go with it."""
    # decay_steps: where the decay ends, 0 for train.steps (AdaptSegNet: 250,000 of which it trains
    # 150,000; RIPU: 62,500 and 40,000)
    shared = dict(schedule="poly", power=0.9, warmup=0, final=0.0, decay_steps=0)
    return ConfigDict(dict(lr=lr) | shared | settings)


def small(c: ConfigDict, size) -> None:
    """A network that learns from scratch within minutes on two CPU cores."""
    c.model.backbone, c.model.style, c.model.bn = "unet", "torchvision", "train"
    c.model.head, c.model.width, c.model.dilations, c.model.aux = "v2", 32, (1,), False
    c.model.dropout = 0.0
    c.model.selector = "shared"
    c.model.dtype = "float32"
    c.align_corners = False
    c.data.normalize = "unit"
    c.data.cache = True
    c.data.source_batch, c.data.target_batch = 4, 8
    c.data.eval_batch = 8
    for name in ("source_view", "target_view"):
        c.data[name] = view(size, flip=True, brightness=0.05, contrast=0.1, saturation=0.1)
    c.eval.size = tuple(size)
    c.optimizer = optimizer("adam", lr=4e-3, momentum=0.9, weight_decay=1e-5, head_factor=1.0)
    c.optimizer.schedule = "cosine"
    c.optimizer.warmup = 50
    c.loss.adversarial = c.loss.adversarial_aux = 0.0
    # Larger, and the classifiers disagree about whole regions, of which a budget buys one blob.
    c.loss.discrepancy = 0.2
    c.discriminator.layers = 4
    c.discriminator.width = 32
    c.train.statistics = "target"
    c.train.log_every = 20
    c.train.eval_every = 0
    c.train.checkpoint_every = 100


def preset(c: ConfigDict, name: str) -> ConfigDict:
    """Applies the domain preset `name` ("" leaves the paper's) and returns `c`."""
    if name:
        choose(DOMAINS, name, "preset")(c)
    return c


def choose(table: dict, name: str, what: str):
    """The entry `name` of `table`; a ValueError lists what there is and suggests the nearest."""
    if name not in table:
        close = difflib.get_close_matches(name, table, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"There is no {what} {name!r}.{hint} There are: {', '.join(table)}.")
    return table[name]


def synthia(c: ConfigDict) -> None:
    """SYNTHIA -> Cityscapes in 16 classes."""
    c.data.classes = "synthia16"
    c.data.source = domain("synthia", root="RAND_CITYSCAPES", split="train")
    c.data.source_view = view((760, 1280))


def camvid_dusk(c: ConfigDict) -> None:
    """CamVid by day -> CamVid at dusk, split by sequence; a small network."""
    _camvid(c)
    day = "0006R0_*|0016E5_*|Seq05VD_*"
    c.data.source = domain("camvid", root="camvid", split="train", names=day)
    c.data.target = domain("camvid", root="camvid", split="train", names="0001TP_*", size=ASKED)
    c.data.eval = domain("camvid", root="camvid", split="test", names="0001TP_*")


def streets_camvid(c: ConfigDict) -> None:
    """The project's rendered streets -> CamVid; a small network."""
    _camvid(c)
    c.data.source = domain(
        "streets", split="train", style="source", height=180, width=240, train=600
    )
    c.data.target = domain("camvid", root="camvid", split="train", size=ASKED)
    c.data.eval = domain("camvid", root="camvid", split="val+test")


def demo(c: ConfigDict) -> None:
    """Rendered streets by day -> rendered streets at dusk; minutes on two CPU cores, no files."""
    small(c, (96, 128))
    c.data.classes = "camvid11"
    # Twice the size that the network sees, as real labels are finer than what it is trained on.
    scenes = dict(height=192, width=256)
    c.data.source = domain("streets", split="train", style="source", train=400, **scenes)
    c.data.target = domain("streets", split="train", style="target", train=200, val=60, **scenes)
    c.data.eval = domain("streets", split="val", style="target", train=200, val=60, **scenes)
    _schedule(c, warmup=80, rounds=5, every=45, steps=600)


# Pixels are asked at the size of the network's input, as in RIPU's protocol. At CamVid's own
# 360x480, 2.2 % of the pixels drawn at random would fall into 27 % of the cells that the network
# sees, and any strategy would look like full supervision.
ASKED = (96, 128)


def ccp(c: ConfigDict) -> None:
    """Clothing Co-Parsing in 8 classes: 354 labelled photos, tested on 100; a small network.

    The target is for methods that use photos without labels: all photos that are not tested on.
    """
    _parts(c, (96, 64))
    c.data.source = domain("ccp", root="ccp", split="train")
    c.data.target = domain("ccp", root="ccp", split="train+unlabelled", unlabelled=True)
    c.data.eval = domain("ccp", root="ccp", split="test", size=PHOTO)
    c.train.eval_every = 100
    _schedule(c, warmup=100, rounds=5, every=160, steps=2000)


def figures(c: ConfigDict) -> None:
    """The project's rendered figures in the same 8 classes; minutes on two CPU cores, no files."""
    _parts(c, (48, 32))
    # Twice the size that the network sees, as real labels are finer than what it is trained on.
    drawn = dict(height=96, width=64)
    c.data.source = domain("figures", split="train", train=300, **drawn)
    c.data.target = domain("figures", split="train", train=1000, seed=1, **drawn)
    c.data.eval = domain("figures", split="test", test=200, **drawn)
    c.train.eval_every = 50
    _schedule(c, warmup=100, rounds=5, every=80, steps=1000)


def factory(c: ConfigDict) -> None:
    """A data set that DatasetGAN's factory wrote -> Clothing Co-Parsing; a small network."""
    size = (96, 64)
    small(c, size)
    c.data.classes = "ccp8"
    c.data.source = domain("generated", root="generated", split="train")
    c.data.target = domain("ccp", root="ccp", split="train", size=size)
    c.data.eval = domain("ccp", root="ccp", split="test", size=PHOTO)
    _schedule(c, warmup=100, rounds=5, every=80, steps=1000)


# The photos are 256 pixels high and 165 to 176 wide: at one width they share batches and a program.
PHOTO = (256, 170)


def _parts(c: ConfigDict, size) -> None:
    """What DatasetGAN's studies share: one network and number of images a step for all methods."""
    small(c, size)
    c.data.classes = "ccp8"
    c.data.source_batch = 8
    c.eval.folds = 5


def _camvid(c: ConfigDict) -> None:
    small(c, ASKED)
    c.data.classes = "camvid11"
    _schedule(c, warmup=100, rounds=5, every=80, steps=1000)


def _schedule(c: ConfigDict, *, warmup: int, rounds: int, every: int, steps: int) -> None:
    c.rounds.warmup, c.rounds.count, c.rounds.every, c.train.steps = warmup, rounds, every, steps


DOMAINS = dict(synthia=synthia, camvid_dusk=camvid_dusk, streets_camvid=streets_camvid, demo=demo)
DOMAINS |= dict(ccp=ccp, figures=figures, factory=factory)
