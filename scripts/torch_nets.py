"""The networks of scripts/torch_models: those of torchvision and timm by name, and a few written out. Each entry of NETS makes
(module, example input); weights are random, layers that begin at zero are not left there, and a few batches in training mode give
batch norms statistics of their own."""
import torch
from torch import nn


class Recurrent(nn.Module):
    """A classifier of sequences [N, T, 16]: two bidirectional layers, the last step decides."""

    def __init__(self, kind):
        super().__init__()
        self.cells = kind(16, 32, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class CompactTransformer(nn.Module):
    """CCT-7/3x1 (arXiv:2104.05704) for 32 x 32: a convolutional tokenizer, pre-norm encoders, sequence pooling."""

    def __init__(self, width=256, depth=7, heads=4, classes=10):
        super().__init__()
        self.tokenizer = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.position = nn.Parameter(torch.randn(1, 256, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.pool, self.head = nn.Linear(width, 1), nn.Linear(width, classes)

    def forward(self, x):
        x = self.tokenizer(x).flatten(2).transpose(1, 2) + self.position
        x = self.norm(self.encoder(x))
        weight = torch.softmax(self.pool(x), 1).transpose(1, 2)
        return self.head((weight @ x).squeeze(1))


class Pyramid(nn.Module):
    """A one-stage detector: a strided backbone, a feature pyramid (Resize, Add, Concat), boxes and scores of all levels joined."""

    def __init__(self, width=32, classes=5, anchors=3):
        super().__init__()
        def block(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.SiLU())
        self.stem = nn.Sequential(block(3, width), block(width, width))
        self.down = nn.ModuleList(block(width * 2**i, width * 2 ** (i + 1)) for i in range(3))
        self.lateral = nn.ModuleList(nn.Conv2d(width * 2 ** (i + 1), width, 1) for i in range(3))
        self.mix = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(2))
        self.scores, self.boxes = nn.Conv2d(width, anchors * classes, 3, padding=1), nn.Conv2d(width, anchors * 4, 3, padding=1)
        self.classes = classes

    def forward(self, x):
        x = self.stem(x)
        levels = []
        for down, lateral in zip(self.down, self.lateral):
            x = down(x)
            levels.append(lateral(x))
        for i in (1, 0):
            up = nn.functional.interpolate(levels[i + 1], scale_factor=2.0, mode="nearest")
            levels[i] = torch.relu(self.mix[i](torch.cat([levels[i], up], 1)))
        scores = [self.scores(p).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, self.classes)) for p in levels]
        boxes = [self.boxes(p).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)) for p in levels]
        return torch.sigmoid(torch.cat(scores, 1)), torch.cat(boxes, 1)


class SsdLite(nn.Module):
    """torchvision's ssdlite320: backbone and heads, without the transforms before and the suppression behind."""

    def __init__(self):
        super().__init__()
        from torchvision.models.detection import ssdlite320_mobilenet_v3_large
        net = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
        self.backbone, self.head = net.backbone, net.head

    def forward(self, x):
        found = self.head(list(self.backbone(x).values()))
        return found["cls_logits"], found["bbox_regression"]


def vision(name, size=224, **options):
    import torchvision
    return getattr(torchvision.models, name)(weights=None, **options), torch.randn(2, 3, size, size)


def timm(name, size=224):
    import timm as package
    return package.create_model(name, pretrained=False), torch.randn(2, 3, size, size)


NETS = {name: (lambda name=name: vision(name)) for name in (
    "resnet18", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0", "squeezenet1_1", "vgg11_bn",
    "efficientnet_b0", "densenet121", "regnet_y_400mf", "vit_b_16", "swin_t")}
NETS |= {name: (lambda name=name: timm(name)) for name in ("deit_tiny_patch16_224", "convnext_atto")}
NETS |= {
    "googlenet": lambda: vision("googlenet", aux_logits=False, init_weights=True),
    "mobilevit_xxs": lambda: timm("mobilevit_xxs", 256),
    "cct_7_3x1_32": lambda: (CompactTransformer(), torch.randn(2, 3, 32, 32)),
    "gru_classifier": lambda: (Recurrent(nn.GRU), torch.randn(2, 12, 16)),
    "lstm_classifier": lambda: (Recurrent(nn.LSTM), torch.randn(2, 12, 16)),
    "fpn_detector": lambda: (Pyramid(), torch.randn(2, 3, 128, 128)),
    "ssdlite320": lambda: (SsdLite(), torch.randn(2, 3, 320, 320)),
}
WITHOUT_INTEGERS = {"gru_classifier", "lstm_classifier"}  # their recurrent layers stay in floats
DETECTORS = {"fpn_detector", "ssdlite320"}


def make(name, seed=0):
    """(module in inference mode, example input [2, ...])."""
    torch.manual_seed(seed)
    module, example = NETS[name]()
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and not layer.weight.any():
            layer.reset_parameters()
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the mean over the batches
    if norms:
        module.train()
        with torch.no_grad():
            for _ in range(2):
                module(torch.randn(8, *example.shape[1:]))
    return module.eval(), example
