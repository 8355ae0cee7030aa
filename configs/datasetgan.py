"""DatasetGAN (Zhang et al., CVPR 2021): a generator and a few labels make an endless data set.

    python launch/main.py --config=configs/datasetgan.py --workdir=runs/cats \
        --config.generator.path=afhqcat.pkl --config.data.classes=... --config.annotator=people
    python launch/main.py --config=configs/datasetgan.py:ccp --config.generator.path=runs/generator
    python launch/main.py --config=configs/datasetgan.py:demo

Samples of the generator are labelled by people (launch/annotate.py) or, in an experiment, by a
segmenter trained on real labels; an ensemble of pixel classifiers learns to read the labels off the
generator's features; the labelled data set is written to WORKDIR/dataset; and a segmenter is
trained on it and evaluated on real images. Presets: demo or figures (rendered figures, with a
generator that is part of the project), ccp (photos of people).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(preset: str = ""):
    """The settings of `preset`; without one, those of the paper with a generator of your own."""
    c = base()
    if preset:
        common.choose(PRESETS, preset, "preset")(c)
    return c


def base() -> ConfigDict:
    """All settings: those of a segmenter, and what comes before it."""
    c = common.base().unlock()
    c.experiment = "datasetgan"
    c.annotator = "people"  # people (launch/annotate.py) | segmenter (config.oracle labels)
    c.loss.target = 0.0  # the segmenter learns from the written data set alone
    c.loss.adversarial = c.loss.adversarial_aux = 0.0
    c.data.classes = "own"
    c.data.source = common.domain("generated", split="train")  # written by the run itself
    c.data.target = common.domain("image_folder", root="real", split="test")  # not trained on
    c.data.eval = common.domain("image_folder", root="real", split="test")
    _segmenter(c)

    c.generator = ConfigDict()
    c.generator.path = ""  # work directory of configs/stylegan2.py; .pkl, .pt, .npz; figures (ours)
    c.generator.psi = 1.0  # truncation; 1 = none, which served segmenters best
    c.generator.cutoff = 0  # rows of styles to truncate; 0 = all

    c.samples = ConfigDict()
    c.samples.count = 16  # samples to label
    # Drawn for each of them, 8192 in all at most; those chosen stand for all by their styles. 1 =
    # the first ones drawn.
    c.samples.candidates = 16

    c.oracle = ConfigDict()
    c.oracle.run = ""  # a finished run of configs/segmentation.py; "" trains one in WORKDIR/oracle
    c.oracle.data = common.domain("image_folder", root="real", split="train")  # to train it on
    c.oracle.steps = 0  # of its training; 0 = train.steps

    c.ensemble = ConfigDict()
    c.ensemble.weights = ""  # folder of published model_<i>.pth: nothing is labelled then
    c.ensemble.members = 10
    c.ensemble.hidden = ()  # widths; () = 128, 32 below 32 classes, else 256, 128
    c.ensemble.dropout = ()  # rate behind each hidden layer; () = none
    c.ensemble.lr = 1e-3
    c.ensemble.steps = 4_000
    c.ensemble.batch = 64  # pixels per member and step
    c.ensemble.smallest = 1  # labelled pixels that every class must have; 0 = a class may be absent
    c.ensemble.checkpoint_every = 500

    c.factory = ConfigDict()
    c.factory.count = 10_000  # images written, after the uncertain ones are dropped
    c.factory.drop = 0.1  # share of the candidates that is dropped
    c.factory.voting = "soft"  # soft | hard
    c.factory.score = "top"  # of an image: mean of its most uncertain tenth (top) | sum of all
    c.factory.batch = 4  # candidates at once on a device
    c.factory.block = 256  # candidates between two saves
    c.factory.shard = 1_000  # images per file
    return c.lock()


def _segmenter(c: ConfigDict) -> None:
    """The paper's: DeepLab-V3, 20 epochs, of which the folds choose one; at the generator's size.

    Its backbone began with ImageNet's weights: set config.weights to torchvision's ResNet-101.
    """
    c.model.style, c.model.head, c.model.bn = "torchvision", "v3", "train"
    c.model.selector, c.model.aux, c.model.dropout = "none", False, 0.5
    c.align_corners = False
    c.data.normalize = "imagenet"
    c.data.source_batch = c.data.target_batch = c.data.eval_batch = 8
    # () = as large as the generator's images
    c.data.source_view, c.data.target_view, c.eval.size = common.view(()), common.view(()), ()
    c.eval.folds = 5
    c.optimizer = common.optimizer("adam", lr=1e-3, momentum=0.9, weight_decay=0.0, head_factor=1.0)
    c.optimizer.schedule = "constant"
    c.train.steps, c.train.eval_every = 25_000, 1_250


def ccp(c: ConfigDict) -> None:
    """Clothing Co-Parsing's people at 96x64: labels of 24 samples by a segmenter."""
    common.ccp(c)
    _experiment(c)
    c.samples.count = 24
    c.factory.count = 2_000


def demo(c: ConfigDict) -> None:
    """Rendered figures and a generator that is part of the project; minutes on two CPU cores."""
    common.figures(c)
    _experiment(c)
    c.generator.path = "figures"
    # People know more than a segmenter of few images: what stands for them sees many.
    c.oracle.data.options.train, c.oracle.steps = 3_000, 3_000
    c.samples.count = 20
    c.factory.count = 1_000


def _experiment(c: ConfigDict) -> None:
    """A segmenter stands for people, and a small factory for a large one."""
    c.annotator = "segmenter"
    c.oracle.data = c.data.source
    c.data.source = common.domain("generated", split="train")
    c.loss.target = 0.0
    c.ensemble.steps, c.ensemble.dropout = 2_000, (0.4, 0.2)
    c.ensemble.smallest = 0
    c.factory.shard = 500


PRESETS = dict(demo=demo, figures=demo, ccp=ccp)
