"""Turn the public weight files of LPIPS and SyncNet into the safetensors that the evaluation reads, and those of speech
models into the safetensors that ``--speech-encoder`` reads.

This is the only place that opens PyTorch's pickled files, and it does so with ``weights_only=True``: a file that holds
anything but tensors is refused. Nothing is downloaded; where the files come from:

- AlexNet and VGG16: torchvision's ImageNet weights (``alexnet-owt-*.pth``, ``vgg16-*.pth``);
- LPIPS' linear layers: ``lpips/weights/v0.1/alex.pth`` and ``vgg.pth`` of the lpips package;
- SyncNet: ``syncnet_v2.model`` of joonson/syncnet_python;
- speech models: a folder of ``transformers`` with ``config.json`` and ``pytorch_model.bin``.

    python scripts/convert_weights.py lpips alex alexnet-owt-7be5be79.pth alex.pth
    python scripts/convert_weights.py lpips vgg vgg16-397923af.pth vgg.pth
    python scripts/convert_weights.py syncnet syncnet_v2.model
    python scripts/convert_weights.py speech FOLDER

A speech model's weights stay in their folder (``model.safetensors``). The others' go to the folder of weights
(``$UA3DTALK_WEIGHTS``, else ``~/.cache/ua3dtalk/weights``) or to ``--out``.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ua3dtalk.core.checkpoint import load_into
from ua3dtalk.core.errors import UserError
from ua3dtalk.core.files import atomic_path
from ua3dtalk.evaluation.lpips import weights_name
from ua3dtalk.evaluation.lpips_net import LPIPS_NETS, Lpips, LpipsNet
from ua3dtalk.evaluation.weights import weights_folder

SYNCNET_NAME = "syncnet_v2.safetensors"
SPEECH_NAME, SPEECH_PICKLE = "model.safetensors", "pytorch_model.bin"
SYNCNET_PARTS = ("netcnnaud.", "netfcaud.", "netcnnlip.", "netfclip.")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    lpips = commands.add_parser("lpips", help="backbone and linear layers of one LPIPS network")
    lpips.add_argument("net", choices=LPIPS_NETS)
    lpips.add_argument("backbone", type=Path, help="torchvision's .pth")
    lpips.add_argument("linear", type=Path, help="the lpips package's .pth, version 0.1")
    syncnet = commands.add_parser("syncnet", help="SyncNet v2")
    syncnet.add_argument("model", type=Path, help="syncnet_v2.model")
    speech = commands.add_parser("speech", help="a speech model of transformers")
    speech.add_argument("folder", type=Path, help=f"where {SPEECH_PICKLE} lies")
    for command in (lpips, syncnet, speech):
        command.add_argument("--out", type=Path, help="file to write, .safetensors")
    args = parser.parse_args(arguments)
    try:
        if args.command == "lpips":
            name, tensors = weights_name(args.net), lpips_tensors(args.net, args.backbone, args.linear)
        elif args.command == "syncnet":
            name, tensors = SYNCNET_NAME, syncnet_tensors(args.model)
        else:
            name, tensors = args.folder / SPEECH_NAME, read_tensors(args.folder / SPEECH_PICKLE)
    except UserError as error:
        parser.error(str(error))
    out = args.out or weights_folder() / name
    with atomic_path(out) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
    sys.stdout.write(f"{out}: {len(tensors)} tensors\n")


def lpips_tensors(net: LpipsNet, backbone: Path, linear: Path) -> dict[str, Tensor]:
    """``features.*`` of the backbone and ``lin*`` of the linear layers, checked against the network.

    Raises:
        UserError: unreadable, or tensors are missing, extra or of another shape.
    """
    features = {name: value for name, value in read_tensors(backbone).items() if name.startswith("features.")}
    weightings = {name: value for name, value in read_tensors(linear).items() if name.startswith("lin")}
    tensors = features | weightings
    load_into(Lpips(net), tensors, f"{backbone} with {linear} (LPIPS {net})")
    return tensors


def syncnet_tensors(model: Path) -> dict[str, Tensor]:
    """All tensors of SyncNet v2.

    Raises:
        UserError: unreadable, or not of SyncNet's parts.
    """
    tensors = read_tensors(model)
    strangers = sorted(name for name in tensors if not name.startswith(SYNCNET_PARTS))
    absent = [part for part in SYNCNET_PARTS if not any(name.startswith(part) for name in tensors)]
    if strangers or absent:
        raise UserError(f"{model} is no SyncNet v2: without {absent}, unexpected {strangers[:3]}.", "Check the path.")
    return tensors


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A state dictionary of tensors, on the CPU; nothing but tensors is unpickled.

    Raises:
        UserError: missing, damaged, or holding anything else.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file.", "Check the path.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path} cannot be read as tensors ({reason}).", "Get another copy.") from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} is not a state dictionary of tensors.", "Check the path.")
    return {name: value.detach().contiguous().clone() for name, value in found.items()}


if __name__ == "__main__":
    main()
