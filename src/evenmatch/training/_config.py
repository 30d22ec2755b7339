"""What a run can be told: one model per section of the configuration file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evenmatch.measures import check_arguments

__all__ = [
    "AuditConfig",
    "BatchConfig",
    "DataConfig",
    "ImageConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "TCMConfig",
    "TrainConfig",
    "TrainerConfig",
]

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Section):
    """Which images.

    Attributes:
        name: a data set, as `evenmatch datasets list` calls it.
        root: the folder it lies in; glyphs needs none.
        options: what its reader takes besides.
        train, test: the splits.
        validation: "test" to look at the test split while training, as the literature does; a share of the training
            classes, which are then held out, whatever roles their images have; or null for no validation.
        check: decode every image before training, and before embedding the data of the run again.
    """

    name: str
    root: str | None = None
    options: dict[str, Any] = {}
    train: str = "train"
    test: str = "test"
    validation: Literal["test"] | Share | None = None
    check: bool = True


class ImageConfig(_Section):
    """How images become tensors.

    Attributes:
        size: side in pixels of what the network sees.
        resize: shorter side before the centre of `size` is cut out; null squeezes the whole image into the square.
        channels: 1 (grey) or 3 (RGB).
        augment: "crop" (random resized crop), "affine" (small rotation, scale, shear and shift) or "none".
        crop_scale: share of the area that a random crop keeps, from … to.
        flip: mirror half of the random crops.
        invert: turn black on white into white on black.
        mean, std: one value, or one a channel; null takes those of the pretrained weights, or 0.5.
        cache: hold decoded images in memory; null does so where they are small and not cut at random.
    """

    size: Annotated[int, Field(ge=16)] = 224
    resize: Positive | None = 256
    channels: Literal[1, 3] = 3
    augment: Literal["crop", "affine", "none"] = "crop"
    crop_scale: tuple[Share, Annotated[float, Field(gt=0, le=1)]] = (0.16, 1.0)
    flip: bool = True
    invert: bool = False
    mean: list[float] | None = None
    std: list[Annotated[float, Field(gt=0)]] | None = None
    cache: bool | None = None

    @model_validator(mode="after")
    def _fits(self) -> ImageConfig:
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize {self.resize} is below size {self.size}; make it at least as large, or null")
        if self.crop_scale[0] > self.crop_scale[1]:
            raise ValueError("crop_scale falls; write the smaller share first")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} values for {self.channels} channels; give one, or one each")
        if self.cache and self.augment == "crop":
            raise ValueError('cache holds images that are cut alike each time; use augment "affine" or "none" with it')
        return self


class ModelConfig(_Section):
    """The network; see `build_network`."""

    backbone: str = "resnet50"
    pretrained: bool = False
    pooling: Literal["gem", "avg", "flatten", "native"] = "gem"
    dim: Positive | None = 512
    layer_norm: bool = True
    freeze_bn: bool = False
    options: dict[str, Any] = {}


class LossConfig(_Section):
    """The base loss.

    Attributes:
        name: as `evenmatch.losses.available` lists it.
        options: its arguments; classes and dimension of losses with proxies are filled in.
        memory: embeddings of earlier batches that it is compared with, too (cross-batch memory); 0 for none.
    """

    name: str = "smooth_ap"
    options: dict[str, Any] = {}
    memory: Annotated[int, Field(ge=0)] = 0


class TCMConfig(_Section):
    """The regulariser; weight 0 trains with the base loss alone.

    Attributes:
        kind: "fixed" margins as in the paper, "adaptive" margins that follow the data, or "unified_threshold" for a
            learned threshold in the place of TCM.
        weight: of the regulariser.
        margin_pos, margin_neg: of "fixed".
        weight_pos, weight_neg: of the two terms of "fixed" and "adaptive"; weight_neg null is 1 for "fixed", and for
            "adaptive" the one at which drawing all embeddings together gains nothing.
        quantile_pos, far, decay, warmup: of "adaptive".
        by_group: of "adaptive": quantiles of each group of the training images, and an equal say for each.
        scale, threshold: of "unified_threshold".
    """

    kind: Literal["fixed", "adaptive", "unified_threshold"] = "fixed"
    weight: Rate = 1.0
    margin_pos: float = 0.9
    margin_neg: float = 0.5
    weight_pos: Rate = 1.0
    weight_neg: Rate | None = None
    quantile_pos: Share = 0.25
    far: Share = 0.05
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.98
    warmup: Annotated[int, Field(ge=0)] = 50
    by_group: bool = False
    scale: Annotated[float, Field(gt=0)] = 16.0
    threshold: Annotated[float, Field(ge=-1, le=1)] = 0.6

    @model_validator(mode="after")
    def _fits(self) -> TCMConfig:
        if not 0 < self.margin_neg < self.margin_pos <= 1:
            raise ValueError(
                f"margin_pos is {self.margin_pos} and margin_neg is {self.margin_neg}; "
                "keep 0 < margin_neg < margin_pos <= 1"
            )
        if self.by_group and self.kind != "adaptive":
            raise ValueError(f'by_group is for kind "adaptive", and kind is "{self.kind}"; change one of them')
        return self


class BatchConfig(_Section):
    """Class-balanced batches; `size` counts the images of all processes together."""

    size: Positive = 128
    per_class: Positive = 4


class OptimizerConfig(_Section):
    """The optimizer.

    Attributes:
        name: adamw or sgd.
        lr: learning rate of the backbone.
        head_lr, proxy_lr: of pooling and embedding head, and of the loss's own parameters; null is `lr`.
        weight_decay: of matrices; vectors (norms, biases) and proxies have none.
        momentum: of sgd.
        clip: largest norm of the gradient; null does not clip.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(ge=0)] = 1e-4
    head_lr: Rate | None = None
    proxy_lr: Rate | None = None
    weight_decay: Rate = 1e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    clip: Annotated[float, Field(gt=0)] | None = None


class ScheduleConfig(_Section):
    """How long, and the learning rate over time.

    Attributes:
        steps: how many batches.
        warmup: steps in which the learning rate rises from 0.
        cosine: whether it then falls to 0 along a half cosine.
        every: steps between checkpoints (and looks at the validation images).
    """

    steps: Positive = 1000
    warmup: Annotated[int, Field(ge=0)] = 0
    cosine: bool = True
    every: Positive = 100


class TrainerConfig(_Section):
    """The machine; passed on to Lightning's Trainer, except `workers` (of the data loader)."""

    accelerator: str = "auto"
    devices: int | str = "auto"
    num_nodes: Positive = 1
    strategy: str = "auto"
    precision: str = "32-true"
    sync_batchnorm: bool = False
    workers: Annotated[int, Field(ge=0)] = 0
    log_every: Positive = 10


class AuditConfig(_Section):
    """How embeddings are audited.

    Attributes:
        far, beta, eps: as in `evenmatch.audit`.
        monitor: what chooses the best checkpoint on the validation images.
        checkpoint: which one the test images are judged with. "best" needs validation images that are not the test.
        batch_size: images embedded at a time.
    """

    far: tuple[Share, Share] = (1e-2, 1e-1)
    beta: Annotated[float, Field(gt=0)] = 1.0
    eps: Annotated[float, Field(gt=0, le=1)] = 0.1
    monitor: Literal["recall_at_1", "opis", "eps_opis"] = "recall_at_1"
    checkpoint: Literal["last", "best"] = "last"
    batch_size: Positive = 256

    @model_validator(mode="after")
    def _fits(self) -> AuditConfig:
        check_arguments(self.far, self.beta, self.eps)
        return self


class TrainConfig(_Section):
    """Everything that a run can be told."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataConfig
    image: ImageConfig = ImageConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    tcm: TCMConfig = TCMConfig()
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    trainer: TrainerConfig = TrainerConfig()
    audit: AuditConfig = AuditConfig()

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        if self.audit.checkpoint == "best" and not isinstance(self.data.validation, float):
            raise ValueError(
                'audit.checkpoint "best" would be chosen by the test images or by nothing; hold out training classes '
                "with data.validation, e.g. 0.1"
            )
        return self
