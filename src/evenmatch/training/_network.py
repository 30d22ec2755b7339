"""The network: a backbone, pooling and an embedding head."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import Tensor, nn

from evenmatch.errors import InputError, MissingExtraError
from evenmatch.training._conv4 import Conv4
from evenmatch.training._pooling import GeM

__all__ = ["POOLINGS", "EmbeddingNet", "build_network"]

POOLINGS = ("gem", "avg", "flatten", "native")


class EmbeddingNet(nn.Module):
    """Images to unit vectors: backbone, pooling, LayerNorm, a linear layer, normalisation.

    The head is the one of Smooth-AP and of the Recall@k surrogate: a LayerNorm without parameters, then a linear layer.

    Args:
        backbone: images to features.
        pooling: features to `(n, width)`.
        width: of what the pooling returns.
        dim: of the embeddings; None leaves out the linear layer.
        layer_norm: whether to normalise what the pooling returns.
        freeze_bn: keep the statistics of the backbone's batch norms as they are, as the field does when it fine-tunes;
            their weights are still learned.
    """

    def __init__(
        self,
        backbone: nn.Module,
        pooling: nn.Module,
        width: int,
        *,
        dim: int | None = 512,
        layer_norm: bool = True,
        freeze_bn: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.head = nn.Sequential(
            nn.LayerNorm(width, elementwise_affine=False) if layer_norm else nn.Identity(),
            nn.Identity() if dim is None else nn.Linear(width, dim),
        )
        self.dim = width if dim is None else dim
        self.freeze_bn = freeze_bn
        self.train()  # Lightning starts with the modes that it finds

    def forward(self, images: Tensor) -> Tensor:
        """Unit vectors `(n, dim)`, float32 also under autocast, of images `(n, c, h, w)`."""
        embeddings = self.head(self.pooling(self.backbone(images)))
        return nn.functional.normalize(embeddings.float(), dim=-1)

    def train(self, mode: bool = True) -> EmbeddingNet:
        """Set the mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self.freeze_bn:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def build_network(
    backbone: str = "conv4",
    *,
    channels: int = 3,
    pretrained: bool = False,
    pooling: str = "gem",
    dim: int | None = 512,
    layer_norm: bool = True,
    freeze_bn: bool = False,
    size: int | None = None,
    **options: Any,
) -> EmbeddingNet:
    """A network by the name of its backbone.

    Args:
        backbone: "conv4", or any model that timm knows.
        channels: of the images.
        pretrained: load timm's weights, which are downloaded where they are not in the cache.
        pooling: "gem" or "avg" over feature maps, "flatten" for all cells of them (fixes the size of the images), or
            "native" for what the backbone itself does (the class token of a ViT).
        dim: of the embeddings; None leaves out the linear layer.
        layer_norm: whether to normalise what the pooling returns.
        freeze_bn: keep the statistics of the backbone's batch norms as they are.
        size: side of the images in pixels; needed by "flatten", and given to backbones with position embeddings.
        options: further arguments of the backbone, e.g. `width` of conv4, `drop_path_rate` of timm's models.

    Raises:
        InputError: an unknown backbone (says the nearest), options it does not take, a pooling that does not suit it,
            or weights that cannot be loaded.
        MissingExtraError: timm is not installed.

    Examples:
        >>> import torch
        >>> from evenmatch.training import build_network
        >>> build_network("conv4", channels=1, dim=32)(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 32])
    """
    if pooling not in POOLINGS:
        raise InputError(f"pooling {pooling!r} is unknown; use one of {', '.join(map(repr, POOLINGS))}")
    if backbone == "conv4":
        model, pool, width = _conv4(channels, pretrained, pooling, size, options)
    else:
        model, pool, width = _timm(backbone, channels, pretrained, pooling, size, options)
    return EmbeddingNet(model, pool, width, dim=dim, layer_norm=layer_norm, freeze_bn=freeze_bn)


def _conv4(
    channels: int, pretrained: bool, pooling: str, size: int | None, options: dict[str, Any]
) -> tuple[nn.Module, nn.Module, int]:
    if pretrained:
        raise InputError("conv4 has no pretrained weights; leave pretrained out, or choose a backbone of timm")
    try:
        model = Conv4(channels, **options)
    except TypeError as error:
        raise InputError(f"conv4 does not take these options: {error}; it takes width") from error
    if pooling != "flatten":
        return model, _pool(pooling), model.width
    if size is None:
        raise InputError('pooling "flatten" needs the size of the images; pass size=, or use "avg"')
    return model, nn.Flatten(), model.width * (size // 16) ** 2


def _timm(
    name: str, channels: int, pretrained: bool, pooling: str, size: int | None, options: dict[str, Any]
) -> tuple[nn.Module, nn.Module, int]:
    model = _create(name, channels, pretrained, pooling, size, options)
    if pooling == "flatten":
        raise InputError(f'pooling "flatten" is for conv4; use "gem", "avg" or "native" with {name}')
    side = size or model.pretrained_cfg["input_size"][-1]
    was_training = model.training
    try:
        with torch.no_grad():
            shape = model.eval()(torch.zeros(1, channels, side, side)).shape
    except (AssertionError, RuntimeError) as error:
        raise InputError(f"{name} does not take images of {side} × {side} ({_line(error)})") from error
    model.train(was_training)
    if pooling == "native":
        return model, nn.Identity(), int(shape[-1])
    if len(shape) != 4:
        raise InputError(
            f'{name} gives tokens, not feature maps, which {pooling!r} pools; use pooling "native", its own'
        )
    if shape[1] != model.num_features:
        return model, nn.Sequential(_ChannelsFirst(), _pool(pooling)), int(shape[-1])
    return model, _pool(pooling), int(shape[1])


def _create(
    name: str, channels: int, pretrained: bool, pooling: str, size: int | None, options: dict[str, Any]
) -> Any:  # timm's models have attributes that no type tells
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "train", f"the backbone {name!r}") from error
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, ["conv4", *timm.list_models()], n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else "see timm.list_models()"
        raise InputError(f"no backbone is called {name!r}; {hint}")
    keep_pool: dict[str, Any] = {} if pooling == "native" else {"global_pool": ""}
    if size is not None and timm.models.is_model_in_modules(name, ["vision_transformer", "deit", "swin_transformer"]):
        keep_pool["img_size"] = size
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels, **keep_pool, **options)
    except (TypeError, AssertionError, ValueError) as error:
        raise InputError(f"timm cannot build {name!r} with these settings: {_line(error)}") from error
    except Exception as error:  # the hub, the network and the disk each have their own errors
        if not pretrained:
            raise
        raise InputError(
            f"the pretrained weights of {name!r} cannot be loaded ({_line(error)}); go online, fill the cache of the "
            "Hugging Face hub on another machine, or pass a checkpoint with model.options.checkpoint_path"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _pool(pooling: str) -> nn.Module:
    if pooling == "gem":
        return GeM()
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()) if pooling == "avg" else nn.Identity()


class _ChannelsFirst(nn.Module):
    """Feature maps `(n, h, w, c)`, as Swin has them, to `(n, c, h, w)`."""

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 3, 1, 2)
