"""PyTorch modules and losses in JAX: outputs, losses and gradients beside PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from descentlab.errors import InputError
from descentlab.models.translate import Translation, Untranslatable, parameter_arrays, translate

F = nn.functional

torch.set_num_threads(1)

# Relative to the largest number compared. Both sides round each operation once; sums of some hundred terms
# in another order stay within some ten ulp.
CLOSE = {torch.float64: 1e-12, torch.float32: 1e-5}


def wavy(outputs: Any, targets: Any) -> Any:
    """A loss whose slope differs from output to output, for modules of any output shape.

    Not a plain square: the gradient of Σ o² through a normalization cancels to nothing but rounding.
    """
    return ((2 * outputs).sin() + outputs * outputs * 0.5).sum() + targets.sum()


def numbers(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(ours: Any, theirs: Tensor | None, what: str) -> None:
    expected = np.zeros(np.shape(ours)) if theirs is None else theirs.detach().numpy()
    tolerance = CLOSE.get(theirs.dtype, 0) if theirs is not None else 0
    finite = np.isfinite(expected)
    size = np.abs(expected[finite]).max(initial=0.0)
    assert np.asarray(ours).dtype == expected.dtype or theirs is None, what
    np.testing.assert_allclose(np.asarray(ours), expected, rtol=0, atol=tolerance * size, err_msg=what)


def compare(
    module: nn.Module, inputs: Tensor, loss: Any = wavy, targets: Tensor | None = None
) -> Translation:
    """Compare outputs, loss, and the gradient by parameters and by inputs; return the translation."""
    targets = torch.ones(1, dtype=inputs.dtype) if targets is None else targets
    translation = translate(module, loss, (inputs, targets))
    module.train(not translation.random)
    x = inputs.clone().requires_grad_(inputs.dtype.is_floating_point)
    outputs = module(x)
    value = loss(outputs, targets)
    named = dict(module.named_parameters())
    wanted = [*named.values(), *([x] if x.requires_grad else [])]
    slopes = torch.autograd.grad(value, wanted, allow_unused=True)
    with jax.enable_x64(True):
        weights, y = parameter_arrays(module), targets.numpy()

        def whole(parameters: Any, rows: Any) -> Any:
            outputs = translation.apply(parameters, rows, train=module.training)
            return translation.loss(outputs, y), outputs

        by = (0, 1) if x.requires_grad else 0
        (ours, given), gradients = jax.jit(jax.value_and_grad(whole, by, has_aux=True))(
            weights, inputs.numpy()
        )
        close(given, outputs, "outputs")
        close(ours, value, "loss")
        for name, theirs in zip(named, slopes, strict=False):
            close((gradients[0] if x.requires_grad else gradients)[name], theirs, f"gradient of {name}")
        if x.requires_grad:
            close(gradients[1], slopes[-1], "gradient of the inputs")
    return translation


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Linear": (lambda: nn.Linear(3, 4), (5, 3)),
    "Linear, no bias": (lambda: nn.Linear(3, 4, bias=False), (5, 3)),
    "Linear, more dimensions": (lambda: nn.Linear(3, 4), (2, 5, 3)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 3), (4, 2, 9)),
    "Conv1d, stride, padding, dilation": (lambda: nn.Conv1d(2, 3, 3, stride=2, padding=3, dilation=2), (4, 2, 9)),
    "Conv1d, circular": (lambda: nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (4, 2, 9)),
    "Conv1d, reflect": (lambda: nn.Conv1d(2, 3, 3, padding=1, padding_mode="reflect"), (4, 2, 9)),
    "Conv1d, replicate": (lambda: nn.Conv1d(2, 3, 3, padding=1, padding_mode="replicate"), (4, 2, 9)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3), (2, 2, 6, 7)),
    "Conv2d, one sample": (lambda: nn.Conv2d(2, 3, 3), (2, 6, 7)),
    "Conv2d, all options": (
        lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        (2, 4, 7, 6),
    ),
    "Conv2d, same": (lambda: nn.Conv2d(2, 3, (5, 3), padding="same", dilation=(1, 2)), (2, 2, 6, 7)),
    "Conv2d, valid": (lambda: nn.Conv2d(2, 3, 2, padding="valid", bias=False), (2, 2, 6, 7)),
    "Conv2d, depthwise": (lambda: nn.Conv2d(3, 3, 3, groups=3), (2, 3, 5, 5)),
    "Conv3d": (lambda: nn.Conv3d(1, 2, 2), (2, 1, 3, 3, 3)),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), (2, 3, 8)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (2, 3, 6, 7)),
    "MaxPool2d, all options": (lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 1), (1, 2)), (2, 3, 7, 6)),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1), (2, 3, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (2, 3, 6, 7)),
    "AvgPool2d, own count": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 7, 6)),
    "AvgPool2d, divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (2, 3, 6, 6)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(1), (2, 3, 7)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (2, 3, 5, 7)),
    "AdaptiveAvgPool2d, parts": (lambda: nn.AdaptiveAvgPool2d((2, None)), (2, 3, 6, 4)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(1), (2, 3, 5, 7)),
    "Flatten": (lambda: nn.Flatten(), (2, 3, 4, 5)),
    "Flatten, some": (lambda: nn.Flatten(1, 2), (2, 3, 4, 5)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), (4, 6)),
    "Identity": (lambda: nn.Identity(), (4, 6)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), (2, 3, 4, 5)),
    "ConstantPad1d": (lambda: nn.ConstantPad1d((1, 2), 3.5), (2, 3, 4)),
    "LayerNorm": (lambda: nn.LayerNorm(6), (4, 6)),
    "LayerNorm, two dimensions": (lambda: nn.LayerNorm((3, 4), eps=1e-2), (5, 3, 4)),
    "LayerNorm, bare": (lambda: nn.LayerNorm(6, elementwise_affine=False), (4, 6)),
    "RMSNorm": (lambda: nn.RMSNorm(6), (4, 6)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (3, 4, 5)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), (3, 4, 5)),
    "BatchNorm1d without running statistics": (lambda: nn.BatchNorm1d(4, track_running_stats=False), (6, 4)),
    "BatchNorm2d without running statistics": (
        lambda: nn.BatchNorm2d(3, track_running_stats=False),
        (4, 3, 2, 5),
    ),
    "PReLU": (lambda: nn.PReLU(), (4, 6)),
    "PReLU, by channel": (lambda: nn.PReLU(3), (4, 3, 5)),
    "GLU": (lambda: nn.GLU(), (4, 6)),
    "Softmax": (lambda: nn.Softmax(dim=1), (4, 6)),
    "Softmin": (lambda: nn.Softmin(dim=0), (4, 6)),
    "LogSoftmax": (lambda: nn.LogSoftmax(dim=-1), (4, 6)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2)), (5, 3)),
    "Sequential, in place": (lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)), (5, 3)),
    "digits": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10),
        ),
        (3, 1, 8, 8),
    ),
}  # fmt: skip


def seeded(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = make().to(dtype)
        with torch.no_grad():
            for p in module.parameters():  # norms begin at 1 and 0, which would hide a mistake
                p.add_(0.1 * torch.randn_like(p))
    return module


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_pytorchs(name: str) -> None:
    make, shape = LAYERS[name]
    compare(seeded(make, torch.float64), numbers(*shape))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "Linear",
        "Conv2d, all options",
        "MaxPool2d",
        "AvgPool2d",
        "LayerNorm",
        "GroupNorm",
        "Softmax",
        "digits",
    ],
)
def test_layers_in_float32(name: str) -> None:
    make, shape = LAYERS[name]
    compare(seeded(make, torch.float32), numbers(*shape, dtype=torch.float32))


ACTIVATIONS = (
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.LeakyReLU(0.3), nn.ELU(), nn.ELU(0.7), nn.SELU(), nn.CELU(2.0), nn.GELU(),
    nn.GELU(approximate="tanh"), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Softplus(3.0, 1.5), nn.Softsign(), nn.Tanh(),
    nn.Sigmoid(), nn.LogSigmoid(), nn.Hardtanh(), nn.Hardtanh(-0.5, 2.0), nn.Hardsigmoid(), nn.Hardswish(),
    nn.Hardshrink(), nn.Softshrink(), nn.Tanhshrink(), nn.Threshold(0.5, -1.0), nn.PReLU(),
)  # fmt: skip
# Every place where one of them changes its form, and what overflows if a piece is computed outside its own range.
KINKS = (-1000.0, -40.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 7.0, 30.0, 1000.0)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations_are_pytorchs_at_their_kinks_too(activation: nn.Module) -> None:
    x = torch.cat([torch.tensor(KINKS, dtype=torch.float64), numbers(40) * 3]).requires_grad_()
    theirs = activation.double()(x)
    (slope,) = torch.autograd.grad(theirs.sum(), x)
    points = x.detach().numpy()
    translation = translate(activation, wavy, (points, points))
    with jax.enable_x64(True):
        weights = parameter_arrays(activation)
        ours = jax.jit(translation.apply)(weights, points)
        # Backwards, where 0 · ∞ from a piece that is not used would show.
        gradient = jax.jit(jax.grad(lambda x: translation.apply(weights, x).sum()))(points)
    # 1e-13: 1 + erf and 1 − tanh cancel to rounding, times x and its powers, in PyTorch as here.
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    # PyTorch computes Hardsigmoid's slope 1/6 in single precision.
    close = 1e-7 if isinstance(activation, nn.Hardsigmoid) else 1e-12
    np.testing.assert_allclose(np.asarray(gradient), slope.numpy(), rtol=close, atol=1e-13)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_even_kernels_are_padded_more_behind() -> None:
    compare(seeded(lambda: nn.Conv2d(2, 3, (4, 2), padding="same"), torch.float64), numbers(2, 2, 6, 7))


def test_the_first_of_equals_is_the_largest() -> None:
    """After a ReLU most windows hold several zeros; only one of equals may get the gradient."""
    tied = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 2.0, 2.0, 2.0] * 4, dtype=torch.float64)
    compare(nn.MaxPool2d(2), tied.reshape(1, 1, 4, 8))
    compare(nn.MaxPool2d(3, 1, 1), tied.reshape(1, 1, 4, 8))
    compare(nn.MaxPool1d(2), torch.tensor([[[1.0, float("nan"), 2.0, 3.0]]], dtype=torch.float64))
    compare(Forward(lambda x: x.max(1).values), tied.reshape(4, 8))
    compare(Forward(lambda x: x.min(0)[0]), tied.reshape(4, 8))
    compare(Forward(lambda x: x.max() + x.amax(1)), tied.reshape(4, 8))
    compare(Forward(lambda x: torch.maximum(x, x * 0 + 1) - torch.min(x, x * 0 + 1)), tied.reshape(4, 8))


class Forward(nn.Module):
    """A module with this forward code."""

    def __init__(self, code: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.code = code

    def forward(self, x: Tensor) -> Any:
        return self.code(x)


def zero(x: Tensor) -> Tensor:
    """Return 0 with the slope of x."""
    return x - x.detach()


CODE: dict[str, Callable[[Tensor], Any]] = {
    "arithmetic": lambda x: (1 - x) * 2 / (x * x + 3) + x / 4 - (-x) % 2,
    "add with alpha": lambda x: torch.add(x, x * x, alpha=0.3) - torch.sub(x, 2, alpha=2),
    "powers": lambda x: x**2 + x**3.0 + torch.pow(x.abs() + 1, 0.3) + 2**x + x.pow(2) + x.square(),
    "powers at zero": lambda x: zero(x) ** 2 + zero(x) ** 2.0 + zero(x) ** 1 + zero(x) ** 0 + x,
    "elementary": lambda x: torch.exp(x).log1p() + x.sin() * torch.cos(x) + torch.log(x.abs() + 1).sqrt(),
    "more": lambda x: torch.atan(x) + x.sinh() - torch.cosh(x) + x.expm1() + torch.erf(x) + (x * x + 1).rsqrt(),
    "absolute at zero": lambda x: zero(x).abs() + abs(zero(x)) + torch.sign(x) * x + zero(x).norm(1),
    "relu at zero": lambda x: F.relu(zero(x)) + torch.relu(x) + zero(x).relu(),
    "clamp at its bounds": lambda x: zero(x).clamp(0, 1) + (zero(x) + 1).clamp(0, 1) + x.clip(-1, 1),
    "clamp": lambda x: x.clamp(min=0.1) + torch.clamp(x, max=x * 0 + 0.5) + x.clamp_min(0.2) + x.clamp_max(0.3),
    "round": lambda x: x.round() * x + x.floor() + torch.ceil(x),
    "softmax": lambda x: F.softmax(x, dim=1) + torch.log_softmax(x, 1) + x.softmax(-1),
    "reductions": lambda x: x.mean() + x.sum(1).prod() + x.mean(dim=(0, 1)) + torch.sum(x, dim=0, keepdim=True),
    "names of NumPy": lambda x: x.sum(axis=1, keepdims=True) + torch.mean(input=x, axis=0),
    "spread": lambda x: x.var() + x.std(1).sum() + torch.var(x, 0, unbiased=False) + x.std(dim=1, correction=0),
    "no spread": lambda x: zero(x).std(1) + x.sum(1),
    "norms": lambda x: x.norm() + torch.norm(x, dim=1) + torch.linalg.vector_norm(x, dim=0) + x.norm(1, dim=1),
    "norm at zero": lambda x: zero(x).norm(dim=1) + x.sum(1),
    "normalize": lambda x: F.normalize(x, dim=1),
    "logsumexp": lambda x: torch.logsumexp(x, dim=1) + x.cumsum(1).sum(1),
    "products": lambda x: x @ x.T + torch.matmul(x, x.t()) + torch.mm(x, x.transpose(0, 1)),
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x) + torch.outer(x[:, 0], x[:, 1]),
    "view": lambda x: x.view(x.size(0), -1).reshape(-1, 2).view(x.shape[0] // 2, 4, -1),
    "shapes": lambda x: x.unsqueeze(1).squeeze(1).flatten().unflatten(0, (2, -1)).permute(1, 0).contiguous(),
    "expand": lambda x: x[:, :1].expand(-1, 3) + x[:, :1].expand_as(x[:, :3]) + x.repeat(1, 2)[:, 1:4],
    "index": lambda x: x[:, 1:] * x[:, :-1] + x[..., [0, 2, 3]] + x[0, 1:4] + x[:, None, 1],
    "cat": lambda x: torch.cat([x, x * 2], dim=1)[:, ::2] + torch.stack((x, x), -1).sum(-1),
    "split": lambda x: x.chunk(2, 1)[0].sum(1) + x.split(3, dim=1)[1] + torch.unbind(x, 0)[1] + x.narrow(1, 1, 1),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x) + x.where(x < 1, x * x) + x.masked_fill(x > 1, 2.0),
    "tril": lambda x: torch.tril(x) + x.triu(1) + x.flip(0) + torch.roll(x, 1, 0) + torch.ones_like(x),
    "gather": lambda x: x.gather(1, x.argmax(1, keepdim=True)) + x.index_select(1, x.argmin(1)[:1]),
    "detach": lambda x: x * x.detach() + x.clone(),
    "in place": lambda x: (x * 2).add_(1).mul_(x).relu_(),
    "conversions": lambda x: (x > 0).to(x.dtype) * x + (x > 0).type_as(x) + (x > 0).double() * (x > 0).to(x),
    "threshold": lambda x: F.threshold(x, 0.1, 20.0) + F.hardtanh(x, -0.5, 0.5) + F.leaky_relu(x, 0.2) + F.elu(x),
    "several outputs": lambda x: (x * 2, [x, x + 1])[1][1],
}  # fmt: skip


@pytest.mark.parametrize("name", CODE)
def test_forward_code_is_pytorchs(name: str) -> None:
    compare(Forward(CODE[name]), numbers(4, 4))


class Own(nn.Module):
    """Parameters used directly, a buffer, a constant, shared weights, a layer used twice, a default argument."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))
        self.extra = nn.ParameterList([nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))])
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("shift", torch.tensor([1.0, 2.0, 3.0]))
        self.width = 3

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = torch.tanh(self.first(x)) * self.scale + self.shift
        if mask is not None:
            x = x * mask
        skip = x
        x = self.first(F.gelu(self.second(x))) + skip
        x += self.extra[0] * self.width
        return x.matmul(self.scale.softmax(0)) * torch.tensor(2.0) + self.extra[1].sum()


def test_own_modules() -> None:
    module = seeded(Own, torch.float32)
    compare(module, numbers(5, 3, dtype=torch.float32))
    translation = translate(module, wavy, (numbers(5, 3, dtype=torch.float32), torch.ones(1)))
    weights = parameter_arrays(module)
    del weights["scale"]
    with pytest.raises(KeyError, match="scale"):
        translation.apply(weights, np.ones((5, 3), np.float32))


class Bilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(2, 3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[:, :2], x[:, 2:])


def test_bilinear_and_embedding() -> None:
    compare(seeded(Bilinear, torch.float64), numbers(6, 5))
    words = torch.tensor([[0, 2, 1], [3, 2, 2]])
    targets = torch.ones(1, dtype=torch.float64)
    for layer in (nn.Embedding(4, 3), nn.Embedding(4, 3, padding_idx=2), nn.Embedding(4, 3, padding_idx=-2)):
        compare(nn.Sequential(layer, nn.Flatten(), nn.Linear(9, 2)).double(), words, targets=targets)


def test_the_given_module_is_left_as_it_is() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), Forward(lambda x: x + torch.ones(2))).eval()
    module[1].train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    translate(module, nn.MSELoss(), (torch.ones(3, 2), torch.ones(3, 2)))
    assert torch.equal(torch.rand(1), drawn)
    assert [layer.training for layer in module] == [False, True, False]
    assert module.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any("_tensor_constant" in name for layer in module.modules() for name in vars(layer))


# Losses

CLASSES = torch.tensor([0, 2, 1, 2, 0, -100])
SHARES = torch.softmax(numbers(6, 3, seed=1), 1)
WEIGHT = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
BITS = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.3, 1.0], dtype=torch.float64)[:, None].expand(6, 3)
SIGNS = 2 * BITS.round() - 1
POINTS = numbers(6, 3, seed=2)
JUDGE = nn.CrossEntropyLoss(WEIGHT)
# Equal to the output in places, and 1 away from it, where the pieces of smooth_l1 and huber meet.
NEAR = (numbers(6, 3) + torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)).detach()

LOSSES: dict[str, tuple[Any, Tensor]] = {
    "mse": (nn.MSELoss(), POINTS),
    "mse sum": (nn.MSELoss(reduction="sum"), POINTS),
    "mse function": (F.mse_loss, POINTS),
    "l1": (nn.L1Loss(), NEAR),
    "l1 sum": (nn.L1Loss(reduction="sum"), NEAR),
    "smooth l1": (nn.SmoothL1Loss(), NEAR),
    "smooth l1 beta": (nn.SmoothL1Loss(beta=0.3, reduction="sum"), NEAR),
    "smooth l1 beta 0": (nn.SmoothL1Loss(beta=0.0), NEAR),
    "huber": (nn.HuberLoss(), NEAR),
    "huber delta": (nn.HuberLoss(delta=0.3, reduction="sum"), NEAR),
    "cross entropy": (nn.CrossEntropyLoss(), CLASSES[:5]),
    "cross entropy, one ignored": (nn.CrossEntropyLoss(), CLASSES),
    "cross entropy sum": (nn.CrossEntropyLoss(reduction="sum"), CLASSES),
    "cross entropy function": (F.cross_entropy, CLASSES),
    "cross entropy weight": (nn.CrossEntropyLoss(weight=WEIGHT), CLASSES),
    "cross entropy smooth": (nn.CrossEntropyLoss(label_smoothing=0.1), CLASSES),
    "cross entropy all": (nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2, ignore_index=1), CLASSES[:5]),
    "cross entropy all, sum": (nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.2, reduction="sum"), CLASSES),
    "cross entropy shares": (nn.CrossEntropyLoss(), SHARES),
    "cross entropy shares all": (nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2), SHARES),
    "cross entropy shares sum": (nn.CrossEntropyLoss(reduction="sum"), SHARES),
    "nll": (lambda o, t: F.nll_loss(torch.log_softmax(o, 1), t), CLASSES),
    "nll weight": (nn.NLLLoss(weight=WEIGHT, reduction="sum"), CLASSES),
    "bce": (lambda o, t: F.binary_cross_entropy(torch.sigmoid(o), t), BITS),
    "bce weight": (lambda o, t: F.binary_cross_entropy(o.sigmoid(), t, weight=t + 1, reduction="sum"), BITS),
    "bce logits": (nn.BCEWithLogitsLoss(), BITS),
    "bce logits weight": (nn.BCEWithLogitsLoss(weight=WEIGHT, pos_weight=WEIGHT + 1, reduction="sum"), BITS),
    "soft margin": (nn.SoftMarginLoss(), SIGNS),
    "kl": (lambda o, t: F.kl_div(o.log_softmax(1), t, reduction="batchmean"), SHARES),
    "kl log": (nn.KLDivLoss(reduction="sum", log_target=True), SHARES.log()),
    "own": (lambda o, t: ((o - t) ** 2).mean() + 0.1 * o.abs().sum() / o.shape[0], POINTS),
    "own, with a module": (lambda o, t: JUDGE(o, t) + 1e-3 * o.pow(2).sum(), CLASSES),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_pytorchs(name: str) -> None:
    loss, targets = LOSSES[name]
    compare(nn.Identity(), numbers(6, 3)[: len(targets)], loss, targets)
    compare(seeded(lambda: nn.Linear(4, 3), torch.float64), numbers(6, 4)[: len(targets)], loss, targets)


@pytest.mark.parametrize(
    "name", ["mse", "smooth l1", "cross entropy", "cross entropy shares", "bce logits", "kl"]
)
def test_losses_in_float32(name: str) -> None:
    loss, targets = LOSSES[name]
    targets = targets.float() if targets.is_floating_point() else targets
    module = seeded(lambda: nn.Linear(4, 3), torch.float32)
    compare(module, numbers(6, 4, dtype=torch.float32)[: len(targets)], loss, targets)


def test_losses_where_logarithms_end() -> None:
    """BCE clamps its logarithms at −100 and its divisor at 1e−12; logits do not overflow; −∞ · 0 is left out."""
    ends = torch.tensor([0.0, 1.0, 1e-300, 1 - 1e-16, 0.5], dtype=torch.float64)
    for targets in (torch.zeros(5), torch.ones(5), torch.full((5,), 0.3)):
        compare(nn.Identity(), ends, nn.BCELoss(), targets.double())
        far = torch.tensor([-800.0, -40.0, 0.0, 40.0, 800.0], dtype=torch.float64)
        compare(nn.Identity(), far, nn.BCEWithLogitsLoss(), targets.double())
    compare(nn.Identity(), torch.tensor([[0.0, -torch.inf], [-1.0, 0.0]]), nn.NLLLoss(), torch.tensor([0, 1]))


def test_cross_entropy_of_pictures_and_of_one_sample() -> None:
    compare(
        nn.Identity(),
        numbers(2, 3, 4),
        nn.CrossEntropyLoss(WEIGHT),
        torch.tensor([[0, 1, 2, 2], [1, 1, 0, 2]]),
    )
    compare(nn.Identity(), numbers(3), nn.CrossEntropyLoss(), torch.tensor(1))


# Randomness


def test_dropout_is_the_identity_in_evaluation_and_random_by_key_in_training() -> None:
    module = nn.Sequential(nn.Dropout(0.25), Forward(lambda x: x * 1), nn.Dropout(0.5))
    rows = np.ones((200, 100))
    translation = translate(module.double(), wavy, (rows, np.ones(1)))
    assert translation.random
    assert np.array_equal(translation.apply({}, rows), rows)
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 3)
        runs = np.asarray(jax.vmap(lambda key: translation.apply({}, rows, key=key, train=True))(keys))
        again = np.asarray(translation.apply({}, rows, key=keys[1], train=True))
    assert np.array_equal(runs[1], again)
    assert not np.array_equal(runs[0], runs[1])
    assert sorted(set(runs.ravel())) == [0.0, pytest.approx(1 / (0.75 * 0.5))]
    # 60,000 draws, each kept with probability 3/8: five standard deviations.
    assert abs((runs > 0).mean() - 0.375) < 5 * np.sqrt(0.375 * 0.625 / runs.size)
    with pytest.raises(InputError, match="Give a key"):
        translation.apply({}, rows, train=True)


def test_the_two_dropouts_of_a_module_are_independent() -> None:
    module = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    rows = np.ones((100, 100), np.float32)
    translation = translate(module, wavy, (rows, np.ones(1, np.float32)))
    kept = (np.asarray(translation.apply({}, rows, key=jax.random.key(1), train=True)) > 0).mean()
    assert abs(kept - 0.25) < 5 * np.sqrt(0.25 * 0.75 / rows.size)


def test_dropout_of_channels_and_of_selu() -> None:
    rows = np.ones((50, 40, 3, 2), np.float32)
    channels = translate(nn.Dropout2d(0.5), wavy, (rows, np.ones(1, np.float32)))
    dropped = np.asarray(channels.apply({}, rows, key=jax.random.key(0), train=True))
    assert np.array_equal(dropped.min((2, 3)), dropped.max((2, 3)))
    assert 0.4 < (dropped[:, :, 0, 0] == 0).mean() < 0.6
    alpha = translate(nn.AlphaDropout(0.3), wavy, (rows, np.ones(1, np.float32)))
    ours = np.unique(np.asarray(alpha.apply({}, rows, key=jax.random.key(0), train=True)))
    theirs = np.unique(nn.AlphaDropout(0.3)(torch.ones(1000)).numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


class Modes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.9, self.training) * 2 if self.training else x + 1


def test_training_and_evaluation_may_differ() -> None:
    rows = np.ones((4, 3))
    translation = translate(Modes(), wavy, (rows, rows))
    with jax.enable_x64(True):
        assert np.array_equal(translation.apply({}, rows), rows + 1)
        trained = np.asarray(translation.apply({}, rows, key=jax.random.key(0), train=True))
    assert set(trained.ravel().round(9)) <= {0.0, 20.0}


# As the trainer uses it


def test_many_runs_under_vmap_and_jit_equal_each_by_itself() -> None:
    make, shape = LAYERS["digits"]
    modules = [seeded(make, torch.float64) for _ in range(3)]
    for seed, module in enumerate(modules):
        for p in module.parameters():
            p.data += 0.1 * numbers(*p.shape, seed=seed)
    rows, targets = numbers(*shape), torch.tensor([1, 7, 3])
    translation = translate(modules[0], nn.CrossEntropyLoss(), (rows, targets))

    def loss(weights: Any) -> Any:
        return translation.loss(translation.apply(weights, rows.numpy(), train=True), targets.numpy())

    with jax.enable_x64(True):
        each = [parameter_arrays(module) for module in modules]
        together = {name: np.stack([weights[name] for weights in each]) for name in each[0]}
        losses, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss)))(together)
    for run, module in enumerate(modules):
        value = F.cross_entropy(module(rows), targets)
        value.backward()
        close(losses[run], value, "loss")
        for name, p in module.named_parameters():
            close(slopes[name][run], p.grad, name)


def test_second_derivatives_are_pytorchs() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Sigmoid()).double()
    rows, targets = numbers(4, 2), torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64)
    translation = translate(module, nn.BCELoss(), (rows, targets))
    names = dict(module.named_parameters())

    def whole(*weights: Tensor) -> Tensor:
        outputs = torch.func.functional_call(module, dict(zip(names, weights, strict=True)), (rows,))
        return F.binary_cross_entropy(outputs, targets)

    theirs = torch.autograd.functional.hessian(whole, tuple(p.detach() for p in names.values()))
    with jax.enable_x64(True):
        ours = jax.jit(
            jax.hessian(lambda w: translation.loss(translation.apply(w, rows.numpy()), targets.numpy()))
        )(parameter_arrays(module))
    # PyTorch's second derivative of BCE has 1e-12 added to its divisor p(1 − p).
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            np.testing.assert_allclose(ours[a][b], theirs[i][j].numpy(), rtol=0, atol=1e-11)


# What cannot be translated


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.number = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return x * self.calls


class Remembers(Counts):
    def forward(self, x: Tensor) -> Tensor:
        self.number += 1
        return x * self.number


def overwrites(x: Tensor) -> Tensor:
    y = x * 2
    z = y.view(-1)
    z.add_(1)
    return y


UNTRANSLATABLE: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "BatchNorm1d": (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), (4, 3), r"'1' \(BatchNorm1d\).*running"),
    "BatchNorm deep": (nn.Sequential(nn.Sequential(nn.BatchNorm1d(3))), (4, 3), r"'0.0' \(BatchNorm1d\)"),
    "InstanceNorm": (nn.InstanceNorm1d(3, track_running_stats=True), (4, 3, 2), "InstanceNorm1d.*running"),
    "LSTM": (nn.Sequential(nn.LSTM(3, 3)), (4, 3), r"'0' \(LSTM\)"),
    "Upsample": (nn.Sequential(nn.Flatten(), nn.Upsample(scale_factor=2)), (4, 3, 2), r"'1' \(Upsample\).*interpolate"),
    "ConvTranspose1d": (nn.ConvTranspose1d(3, 1, 2), (4, 3, 5), "ConvTranspose1d.*conv_transpose1d"),
    "RReLU": (nn.Sequential(nn.RReLU()), (4, 3), r"'0' \(RReLU\)"),
    "ceil_mode": (nn.Sequential(nn.MaxPool1d(2, ceil_mode=True)), (4, 3, 5), r"ceil_mode.*'0' \(MaxPool1d\)"),
    "uneven": (nn.Sequential(nn.AdaptiveAvgPool1d(2)), (4, 3, 5), r"several sizes.*'0' \(AdaptiveAvgPool1d\)"),
    "branch": (nn.Sequential(Branches()), (4, 3), r"'0' \(Branches\).*control flow"),
    "a buffer that counts": (nn.Sequential(Counts()), (4, 3), r"'0' \(Counts\) changes in place.*add_"),
    "an attribute that counts": (nn.Sequential(Remembers()), (4, 3), "attribute '0.number'"),
    "in place of an input": (nn.ReLU(inplace=True), (4, 3), "ReLU.*in place"),
    "in place of a view": (Forward(overwrites), (4, 3), "Forward.*in place"),
    "always random": (Forward(lambda x: F.dropout(x)), (4, 3), "evaluation mode too"),
    "fresh numbers": (Forward(lambda x: x * torch.rand(3)), (4, 3), "differs from PyTorch"),
    "numbers like": (Forward(lambda x: x * torch.rand_like(x)), (4, 3), "rand_like"),
    "half": (nn.Linear(3, 2).half(), (4, 3), "'weight' is torch.float16"),
    "unknown method": (Forward(lambda x: x.svd()[0]), (4, 3), r"\.svd\(\)"),
    "unknown argument": (Forward(lambda x: x.cumsum(1, out=x)), (4, 3), "cumsum.*'out'"),
    "does not fit": (nn.Linear(4, 2), (4, 3), "Linear"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTRANSLATABLE)
def test_what_cannot_be_translated_is_named(name: str) -> None:
    module, shape, words = UNTRANSLATABLE[name]
    targets = torch.ones(shape[0], 1)
    with pytest.raises(Untranslatable, match=words) as caught:
        translate(module, wavy, (numbers(*shape, dtype=torch.float32), targets))
    assert caught.value.reason == str(caught.value)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_a_softmax_needs_its_dimension() -> None:
    with pytest.raises(Untranslatable, match=r"NoneType.*Softmax"):
        translate(nn.Sequential(nn.Softmax()), wavy, (torch.ones(4, 3), torch.ones(1)))


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (nn.MSELoss(reduction="none"), r"\(4, 2\), not one number"),
        (nn.MultiMarginLoss(), "multi_margin_loss"),
        (lambda o, t: (o - t).sum() if o.sum() > 0 else o.sum(), "the loss.*control flow"),
        (lambda o, t: float((o - t).mean()), "the loss"),
    ],
)
def test_losses_that_cannot_be_translated(loss: Any, words: str) -> None:
    with pytest.raises(Untranslatable, match=words):
        translate(nn.Linear(3, 2), loss, (torch.ones(4, 3), torch.ones(4, 2)))


def test_a_misread_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is computed by both sides, so that a wrong row in the table is found."""
    from descentlab.models import translate_activations, translate_layers

    wrong = {**translate_layers.layer_functions(), "hardswish": lambda x, inplace=False: x}
    monkeypatch.setattr("descentlab.models.translate_record.layer_functions", lambda: wrong)
    assert translate_activations.in_pieces()["hardswish"] is not wrong["hardswish"]
    with pytest.raises(Untranslatable, match="differs from PyTorch's"):
        translate(nn.Sequential(nn.Linear(3, 2), nn.Hardswish()), wavy, (torch.ones(4, 3), torch.ones(1)))


def solved_in_float32() -> tuple[nn.Module, tuple[Any, Any]]:
    """A network that gives exactly its targets: loss and gradient are what rounding leaves."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    inputs = torch.randn(6, 3)
    with torch.no_grad():
        return model, (inputs, model(inputs) * (1 + 1e-7))


def test_at_a_solution_rounding_is_no_difference_and_a_misread_function_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, example = solved_in_float32()
    assert nn.MSELoss()(model(example[0]), example[1]).item() < 1e-13
    translate(model, nn.MSELoss(), example)
    from descentlab.models import translate_losses

    real = translate_losses.loss_functions()
    for wrong in (lambda x, y, **_: ((x - y) ** 2).sum(), lambda x, y, **_: 1.001 * ((x - y) ** 2).mean()):
        monkeypatch.setitem(real, "mse_loss", wrong)
        with pytest.raises(Untranslatable, match="differs from PyTorch's"):
            translate(model, nn.MSELoss(), example)


def test_an_example_is_a_pair() -> None:
    with pytest.raises(InputError, match="pair"):
        translate(nn.Linear(3, 2), nn.MSELoss(), np.ones((2, 3)))  # type: ignore[arg-type]
