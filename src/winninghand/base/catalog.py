"""Everything that has a name, and where it lies: to add one, write its file and its line here.

Nothing is imported until a name is used, so that names can be listed at once. Other packages add
theirs as entry points of the groups `winninghand.networks`, `winninghand.methods` and so on.
"""

from __future__ import annotations

from typing import Any

from winninghand.base.registry import Registry

NETWORKS: Registry[Any] = Registry(
    "network",
    "networks",
    {
        "resnet18": "winninghand.networks.resnet:resnet18",
        "resnet34": "winninghand.networks.resnet:resnet34",
        "resnet50": "winninghand.networks.resnet:resnet50",
        "wideresnet50_2": "winninghand.networks.resnet:wideresnet50_2",
        "preactresnet18": "winninghand.networks.preactresnet:preactresnet18",
        "card_lrr": "winninghand.networks.card:card_lrr",
        "card_binary": "winninghand.networks.card:card_binary",
        "resnet20": "winninghand.networks.cifar_resnet:resnet20",
        "resnet32": "winninghand.networks.cifar_resnet:resnet32",
        "resnet56": "winninghand.networks.cifar_resnet:resnet56",
        "conv2": "winninghand.networks.conv:conv2",
        "conv4": "winninghand.networks.conv:conv4",
        "conv6": "winninghand.networks.conv:conv6",
        "conv8": "winninghand.networks.conv:conv8",
        "resnext29": "winninghand.networks.resnext:resnext29",
        "wideresnet": "winninghand.networks.wideresnet:wideresnet",
        "dm_wideresnet": "winninghand.networks.dm_wideresnet:dm_wideresnet",
        "cifar_resnet": "winninghand.networks.openlth:cifar_resnet",
        "cifar_vgg": "winninghand.networks.openlth:cifar_vgg",
    },
    instance_of="collections.abc:Callable",
)
"""Functions that build a network; their keyword parameters, all with defaults, are its settings."""

LIBRARIES = {"timm": "timm", "torchvision": "torchvision", "hf": "transformers"}
"""Libraries whose networks are known by name, too: what stands before the colon, and which is meant."""

METHODS: Registry[Any] = Registry(
    "method",
    "methods",
    {
        "dense": "winninghand.compression.methods:Dense",
        "ft": "winninghand.compression.methods:FineTuning",
        "gmp": "winninghand.compression.methods:GradualMagnitudePruning",
        "lth": "winninghand.compression.methods:WeightRewinding",
        "lrr": "winninghand.compression.methods:LearningRateRewinding",
        "ep": "winninghand.compression.methods:EdgePopup",
        "bp": "winninghand.compression.methods:Biprop",
        "set": "winninghand.compression.dynamic:SparseEvolution",
        "rigl": "winninghand.compression.dynamic:RigL",
        "snip": "winninghand.compression.at_start:Snip",
        "grasp": "winninghand.compression.at_start:Grasp",
        "synflow": "winninghand.compression.at_start:SynFlow",
    },
    subclass_of="winninghand.compression.method:Method",
)
"""Subclasses of `winninghand.compression.Method`."""

CORRUPTIONS: Registry[Any] = Registry(
    "corruption",
    "corruptions",
    {
        "gaussian_noise": "winninghand.corruptions.noise:gaussian_noise",
        "shot_noise": "winninghand.corruptions.noise:shot_noise",
        "impulse_noise": "winninghand.corruptions.noise:impulse_noise",
        "speckle_noise": "winninghand.corruptions.noise:speckle_noise",
        "defocus_blur": "winninghand.corruptions.blur:defocus_blur",
        "glass_blur": "winninghand.corruptions.blur:glass_blur",
        "motion_blur": "winninghand.corruptions.blur:motion_blur",
        "zoom_blur": "winninghand.corruptions.blur:zoom_blur",
        "gaussian_blur": "winninghand.corruptions.blur:gaussian_blur",
        "snow": "winninghand.corruptions.weather:snow",
        "frost": "winninghand.corruptions.weather:frost",
        "fog": "winninghand.corruptions.weather:fog",
        "brightness": "winninghand.corruptions.weather:brightness",
        "spatter": "winninghand.corruptions.spatter:spatter",
        "contrast": "winninghand.corruptions.digital:contrast",
        "elastic_transform": "winninghand.corruptions.digital:elastic_transform",
        "pixelate": "winninghand.corruptions.digital:pixelate",
        "jpeg_compression": "winninghand.corruptions.digital:jpeg_compression",
        "saturate": "winninghand.corruptions.digital:saturate",
        "blue_noise_sample": "winninghand.corruptions.bar.noise:blue_noise_sample",
        "brownish_noise": "winninghand.corruptions.bar.noise:brownish_noise",
        "checkerboard_cutout": "winninghand.corruptions.bar.overlays:checkerboard_cutout",
        "sparkles": "winninghand.corruptions.bar.overlays:sparkles",
        "inverse_sparkles": "winninghand.corruptions.bar.overlays:inverse_sparkles",
        "ripple": "winninghand.corruptions.bar.warps:ripple",
        "pinch_and_twirl": "winninghand.corruptions.bar.warps:pinch_and_twirl",
        "circular_motion_blur": "winninghand.corruptions.bar.turning:circular_motion_blur",
        "lines": "winninghand.corruptions.bar.lines:lines",
        "transverse_chromatic_abberation": "winninghand.corruptions.bar.lens:transverse_chromatic_abberation",
        "single_frequency_greyscale": "winninghand.corruptions.imagenet_bar.waves:single_frequency_greyscale",
        "cocentric_sine_waves": "winninghand.corruptions.imagenet_bar.waves:cocentric_sine_waves",
        "plasma_noise": "winninghand.corruptions.imagenet_bar.waves:plasma_noise",
        "perlin_noise": "winninghand.corruptions.imagenet_bar.perlin:perlin_noise",
        "caustic_refraction": "winninghand.corruptions.imagenet_bar.caustics:caustic_refraction",
    },
    instance_of="winninghand.corruptions.corrupt:Corruption",
)
"""Objects of `winninghand.corruptions.Corruption`, in the benchmarks' order."""

DOMAINS: Registry[Any] = Registry(
    "domain",
    "domains",
    {
        "clean": "winninghand.augmentation.domain:Clean",
        "augmix": "winninghand.augmentation.augmix:AugMix",
        "gaussian": "winninghand.augmentation.gaussian:Gaussian",
        "pixmix": "winninghand.augmentation.pixmix:PixMix",
        "trivialaugment": "winninghand.augmentation.trivialaugment:TrivialAugment",
        "hybridaugment": "winninghand.augmentation.hybridaugment:HybridAugment",
        "prime": "winninghand.augmentation.prime:Prime",
        "afa": "winninghand.augmentation.afa:AuxiliaryFourier",
    },
    subclass_of="winninghand.augmentation.domain:Domain",
)
"""Subclasses of `winninghand.augmentation.Domain`."""

GATES: Registry[Any] = Registry(
    "gate",
    "gates",
    {
        "average": "winninghand.decks.gates.average:Average",
        "spectral": "winninghand.decks.gates.spectral:Spectral",
        "spectral_image": "winninghand.decks.gates.spectral_image:SpectralImage",
        "stream": "winninghand.decks.gates.stream:Stream",
        "weighted": "winninghand.decks.gates.weighted:Weighted",
        "features": "winninghand.decks.gates.features:Features",
    },
    subclass_of="winninghand.decks.gate:Gate",
)
"""Subclasses of `winninghand.decks.Gate`."""

IMAGE_SETS: Registry[Any] = Registry(
    "image set",
    "image_sets",
    {
        "digits": "winninghand.images.digits:digits",
        "cifar10": "winninghand.images.cifar:cifar10",
        "cifar100": "winninghand.images.cifar:cifar100",
    },
    instance_of="collections.abc:Callable",
)
"""Finders of image sets known by name; each takes the folder to look in first."""

LAYOUTS: Registry[Any] = Registry(
    "layout",
    "layouts",
    {
        "cifar batches": "winninghand.images.cifar:cifar_batches",
        "parquet": "winninghand.images.shards.layouts:parquet",
        "webdataset": "winninghand.images.shards.layouts:webdataset",
        "class folders": "winninghand.images.folders.class_folders:class_folders",
        "npz": "winninghand.images.npz:npz",
    },
    instance_of="collections.abc:Callable",
)
"""Readers of files and folders of images, tried in order; each returns None for what is not its own."""

EXPORTS: Registry[Any] = Registry(
    "export",
    "exports",
    {
        ".onnx": "winninghand.exports.onnx_file:write_onnx",
        ".pt2": "winninghand.exports.program_file:write_program",
        ".safetensors": "winninghand.exports.state_dicts:write_dense",
        ".sparse.pt": "winninghand.exports.state_dicts:write_sparse",
        ".c": "winninghand.exports.c.file:write_c",
    },
    instance_of="collections.abc:Callable",
)
"""Writers of other tools' files, by how the file's name ends."""

EXECUTORS: Registry[Any] = Registry(
    "executor",
    "executors",
    {
        "serial": "winninghand.studies.executors:Serial",
        "ray": "winninghand.studies.ray_executor:RayExecutor",
    },
    subclass_of="winninghand.studies.executors:Executor",
)
"""Subclasses of `winninghand.studies.executors.Executor`: who does the runs of a study, and where."""

LOGGERS: Registry[Any] = Registry(
    "logger",
    "loggers",
    {
        "tensorboard": "winninghand.training.loggers:tensorboard",
        "wandb": "winninghand.training.loggers:wandb",
        "mlflow": "winninghand.training.loggers:mlflow",
    },
    instance_of="collections.abc:Callable",
)
"""Makers of loggers of Lightning's interface; each takes a run's folder."""

CLAIMS: Registry[Any] = Registry(
    "claim",
    "claims",
    {
        "C1": "winninghand.results.claims.pruning:TicketsKeepRobustness",
        "C2": "winninghand.results.claims.pruning:GlobalScopeWins",
        "C3": "winninghand.results.claims.domains:AugmentationLiftsCards",
        "C4": "winninghand.results.claims.decks:DecksBeatTheirCards",
        "C5": "winninghand.results.claims.sizes:CardsAreCompact",
        "C6": "winninghand.results.claims.pruning:BinaryCardsKeepRobustness",
        "C7": "winninghand.results.claims.sizes:SparseWideWins",
        "C8": "winninghand.results.claims.sizes:SparsityHelpsAtEqualCapacity",
        "C9": "winninghand.results.claims.calibration:PruningChangesCalibration",
    },
    subclass_of="winninghand.results.claims.claim:Claim",
)
"""Subclasses of `winninghand.results.claims.Claim`: sentences that results of studies are held against."""
