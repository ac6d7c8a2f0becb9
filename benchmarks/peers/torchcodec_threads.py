"""torchcodec: its decoder resamples and mixes, its encoder writes FLAC; both release the GIL."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torchcodec.decoders import AudioDecoder
from torchcodec.encoders import AudioEncoder

from benchmarks.peers import lines


def prepare(path: str) -> str:
    """A recording's line."""
    samples = AudioDecoder(path, sample_rate=lines.RATE, num_channels=1).get_all_samples().data
    payload = AudioEncoder(samples, sample_rate=lines.RATE).to_tensor("flac")
    return lines.line(payload.numpy().tobytes())


def main() -> None:
    """Writes the lines of a manifest."""
    manifest, out = lines.arguments()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(lines.CORES) as threads:
        lines.write(out, threads.map(prepare, lines.paths(manifest)))


if __name__ == "__main__":
    main()
