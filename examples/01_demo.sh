#!/usr/bin/env bash
# Everything at once, on the embedded synthetic actor: about ten minutes on two cores, nothing is downloaded.
set -euo pipefail

ua3dtalk demo --out demo
ua3dtalk view demo/avatar --audio demo/speech.flac
