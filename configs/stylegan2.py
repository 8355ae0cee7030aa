"""Trains StyleGAN2 with adaptive augmentation on a folder of images: DatasetGAN's generator.

    python launch/main.py --config=configs/stylegan2.py:demo --workdir=runs/generator
    python launch/main.py --config=configs/stylegan2.py:ccp --config.data.root=data
    python launch/main.py --config=configs/stylegan2.py:paper256 --config.data.train.root=cats

The preset is a row of the official table, with a resolution after a comma where it is not the
row's own: auto (256), auto,128, stylegan2 (1024), stylegan2,512, paper256, paper512, paper1024; or
a set of images: ccp (photos of people at 96x64, minutes of a GPU), ccp_cpu (the same with a small
network, hours of one CPU core), demo (rendered figures at 48x32, hours too) and small (a minute of
it). Without one of the latter, the images are those below data.root/data.train.root/images, or with
data.train.name=tfds those of the data set that TFDS prepared as data.root/data.train.root.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(preset: str = "auto"):
    """The settings of `preset`, "NAME" or "NAME,RESOLUTION"."""
    name, _, resolution = preset.partition(",")
    c = base()
    apply = common.choose(PRESETS, name or "auto", "preset")
    if resolution and not resolution.isdecimal():
        raise ValueError(f"The resolution {resolution!r} is not a whole number.")
    if not resolution:
        apply(c)
    elif name in SIZED:
        if (size := int(resolution)) < 8 or size & (size - 1):
            raise ValueError(f"The resolution {size} is no power of two, from 8 on.")
        apply(c, size)
    else:
        others = " and ".join(SIZED)
        raise ValueError(f"The preset {name!r} has its own resolution; {others} take another.")
    return c


def base() -> ConfigDict:
    """All settings. A setting missing here does not exist."""
    c = ConfigDict()
    c.experiment = "stylegan2"
    c.seed = 0

    c.data = ConfigDict()
    c.data.root = "data"  # the folder that holds the data sets
    c.data.dir = ""  # where prepared data sets live; "" = TFDS's own default
    c.data.classes = "camvid11"  # any table will do: labels are not used
    c.data.train = common.domain("image_folder", root="images", unlabelled=True)
    c.data.train_batch = 32  # images per iteration over all devices
    # How an image becomes one of the network's size: fixed squeezes it, random_crop cuts, and pad
    # keeps it whole and in shape; what is beside it counts for nothing.
    c.data.view = ConfigDict(dict(resize="fixed", crop_height=(64, 1000), flip=True))
    c.data.threads = 4
    c.data.workers = 0
    c.data.cache = False  # keep decoded images in memory

    c.network = ConfigDict()
    c.network.resolution = 256  # a power of two: the image has resolution / 4 times base pixels
    c.network.base = (4, 4)  # height and width of the smallest map; (6, 4) is upright
    c.network.channel_base = 32768  # map r of the pyramid has min(channel_base / r, channel_max)
    c.network.channel_max = 512
    c.network.low_precision_blocks = 4  # of the largest maps, computed in dtype
    c.network.dtype = "bfloat16"  # bfloat16 | float16
    c.network.conv_clamp = 256.0  # limit of a convolution's output; 0 = none
    c.network.z_dim = 512
    c.network.w_dim = 512
    c.network.mapping_layers = 8
    c.network.mbstd_group = 4  # images that the discriminator compares with each other

    c.generator_optimizer = ConfigDict(dict(lr=0.002, b1=0.0, b2=0.99))
    c.discriminator_optimizer = ConfigDict(dict(lr=0.002, b1=0.0, b2=0.99))

    c.loss = ConfigDict()
    c.loss.r1_gamma = 10.0  # weight of R1; 0 = none
    c.loss.r1_every = 16  # iterations
    c.loss.path_weight = 2.0  # of the path lengths; 0 = none
    c.loss.path_every = 4
    c.loss.path_decay = 0.01  # share of a batch in the moving mean
    c.loss.mixing = 0.9  # share of batches with two latents

    c.average = ConfigDict()
    c.average.kimg = 10.0  # half-life of the average of the generator, in thousands of images
    c.average.ramp = 0.0  # but at most this share of the images seen; 0 = no ramp

    c.augment = ConfigDict()
    c.augment.kinds = "bgc"  # of blit, geometry, colour; "" = no augmentation
    c.augment.p = 0.0  # first probability
    c.augment.target = 0.6  # of D's sign on real images; 0 = p stays
    c.augment.every = 4  # iterations between two moves of p
    c.augment.kimg = 500.0  # thousands of images in which p can rise to 1

    c.train = ConfigDict()
    c.train.kimg = 25_000.0  # length, in thousands of images
    c.train.log_every = 64  # iterations; a multiple of both intervals shows both regularisers
    c.train.checkpoint_every = 1_024
    c.train.pictures_every = 4_096  # 0 = only at the end
    c.train.keep = 3
    c.train.tensorboard = True
    c.train.profile = ""  # "10:15" traces iterations 10 to 15
    c.train.pictures = 32  # images in a grid of samples; 0 = no pictures
    c.train.psi = 0.7  # truncation of the second grid and of the interpolation

    c.distance = ConfigDict()
    c.distance.images = 4_096  # real and generated, in the sliced Wasserstein distance; 0 = no
    c.distance.features = ""  # pt_inception-2015-12-05-*.pth for FID too; "" = no
    return c.lock()


def auto(c: ConfigDict, resolution: int = 256) -> None:
    """The official code's settings by resolution, for one device."""
    batch = max(1, min(4096 // resolution, 32))
    _size(c, resolution, fmaps=1.0 if resolution >= 512 else 0.5)
    _rates(c, 0.002 if resolution >= 1024 else 0.0025)
    c.data.train_batch, c.network.mbstd_group = batch, min(batch, 4)
    c.network.mapping_layers = 2
    c.loss.r1_gamma = 0.0002 * resolution**2 / batch
    c.average.kimg, c.average.ramp = batch * 10 / 32, 0.05


def stylegan2(c: ConfigDict, resolution: int = 1024) -> None:
    """Config-f of StyleGAN2."""
    _size(c, resolution, fmaps=1.0)


def paper256(c: ConfigDict) -> None:
    """The ADA paper's settings at 256x256."""
    _size(c, 256, fmaps=0.5)
    _rates(c, 0.0025)
    c.data.train_batch, c.network.mbstd_group = 64, 8
    c.loss.r1_gamma, c.average.kimg = 1.0, 20.0


def paper512(c: ConfigDict) -> None:
    """The ADA paper's settings at 512x512."""
    _size(c, 512, fmaps=1.0)
    _rates(c, 0.0025)
    c.data.train_batch, c.network.mbstd_group = 64, 8
    c.loss.r1_gamma, c.average.kimg = 0.5, 20.0


def paper1024(c: ConfigDict) -> None:
    """The ADA paper's settings at 1024x1024."""
    _size(c, 1024, fmaps=1.0)
    c.loss.r1_gamma = 2.0


def ccp(c: ConfigDict) -> None:
    """Clothing Co-Parsing's photos of people at 96x64, without those held out: a GPU's minutes."""
    _photos(c)
    c.network.channel_base, c.network.channel_max = 8192, 256
    c.data.train_batch = 64
    c.average.kimg = 20.0
    # Path lengths make interpolations smooth, which labelling does not ask for.
    c.loss.path_weight = 0.0
    c.loss.r1_gamma = 0.1
    c.augment.kimg = 200.0
    c.train.kimg = 600.0


def ccp_cpu(c: ConfigDict) -> None:
    """`ccp` with a small network on one CPU core, in hours."""
    _photos(c)
    _small_network(c)
    c.network.low_precision_blocks = 0
    c.network.z_dim = c.network.w_dim = 128
    c.loss.r1_gamma = 0.3
    c.train.kimg = 150.0
    c.train.pictures_every = 1_024


def _photos(c: ConfigDict) -> None:
    auto(c, 64)
    c.network.base = (6, 4)
    c.data.classes = "ccp8"
    c.data.train = common.domain("ccp", root="ccp", split="train+unlabelled", unlabelled=True)
    c.data.cache = True
    c.distance.images = 1_024


def demo(c: ConfigDict) -> None:
    """Rendered figures at 48x32 on one CPU core, in hours."""
    _size(c, 32, fmaps=1.0)
    _rates(c, 0.0025)
    _small_network(c)
    c.network.base, c.network.low_precision_blocks = (6, 4), 0
    c.network.z_dim = c.network.w_dim = 64
    c.network.mapping_layers = 2
    c.data.classes = "figures12"
    c.data.train = common.domain("figures", split="train", height=96, width=64, train=5_000)
    c.data.cache = True
    c.loss.r1_gamma = 0.5
    c.train.kimg = 300.0
    c.train.pictures_every = 2_048
    c.distance.images = 1_024


def small(c: ConfigDict) -> None:
    """A minute of `demo`, to see that everything works."""
    demo(c)
    c.network.channel_base = 256
    c.data.train.options.train = 100
    c.train.kimg = 2.0
    c.train.log_every, c.train.checkpoint_every, c.train.pictures_every = 32, 128, 0
    c.distance.images = 64


def _small_network(c: ConfigDict) -> None:
    """What a CPU can train: few channels, eight images at once, no geometry in augmentation."""
    c.network.channel_base, c.network.channel_max, c.network.conv_clamp = 1024, 64, 0.0
    c.data.train_batch = 8
    c.average.kimg, c.average.ramp = 5.0, 0.05
    c.augment.kinds, c.augment.kimg = "bc", 100.0
    c.train.log_every = 256


def _size(c: ConfigDict, resolution: int, fmaps: float) -> None:
    c.network.resolution, c.network.channel_base = resolution, int(32768 * fmaps)
    # No more than at 256, in bytes: real and generated ones are all in memory at the end.
    c.distance.images = min(4_096, 4_096 * 256**2 // resolution**2)


def _rates(c: ConfigDict, lr: float) -> None:
    c.generator_optimizer.lr = c.discriminator_optimizer.lr = lr


SIZED = ("auto", "stylegan2")
PRESETS = dict(auto=auto, stylegan2=stylegan2, paper256=paper256, paper512=paper512)
PRESETS |= dict(paper1024=paper1024, ccp=ccp, ccp_cpu=ccp_cpu, demo=demo, small=small)
