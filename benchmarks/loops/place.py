"""Where loops compute that take turns within one process: a GPU, or for a trial of the program the CPU."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from benchmarks.loops.setting import Setting
from benchmarks.measuring.serving import peak_bytes

DEVICES = ("cuda", "cpu")
TINY = ("backbone.path=tiny-bert",)
"""What reads the texts of a quick slice: a language model that a CPU steps through in no time."""


@dataclass(frozen=True)
class Place:
    """device: "cuda" or "cpu". quick: a slice, which shows that a measurement runs. words: where MiniLM lies, for the
    composition; none where its package is installed."""

    device: str
    quick: bool = False
    words: tuple[str, ...] = ()

    def require(self) -> None:
        """Raises `SystemExit` where PyTorch finds no such device."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SystemExit(
                "PyTorch finds no CUDA device; --device cpu --quick shows on any machine whether this runs"
            )

    def setting(
        self, corpus: str, strategy: str, users: int, *words: str, repeat: int = 1, half: bool = True
    ) -> Setting:
        """A loop's setting here."""
        chosen = (*(TINY if self.quick else self.words), *words)
        return Setting(corpus, strategy, users, repeat, chosen, self.device, half)

    def wait(self) -> None:
        """Until everything that was begun is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def allocated(self) -> int:
        """Bytes of tensors on the device; on a CPU nobody counts them."""
        return torch.cuda.memory_allocated() if self.device == "cuda" else 0

    def peak(self) -> int:
        """The most bytes of tensors since `forget`; on a CPU the largest resident set of this process so far."""
        return torch.cuda.max_memory_allocated() if self.device == "cuda" else peak_bytes()

    def forget(self) -> None:
        """Begin to watch the peak anew."""
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def clear(self) -> None:
        """Give back what nobody holds."""
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def ceiling(self, more: int) -> Iterator[None]:
        """PyTorch gets no more than `more` bytes on top of what is allocated now. Of a GPU only."""
        self.clear()
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min((torch.cuda.memory_reserved() + more) / whole, 1.0))
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
