"""The program."""

import ctranslate2


def main() -> None:
    """Print where models run. A real program would load one there."""
    print("cuda" if ctranslate2.get_cuda_device_count() else "cpu")
