"""Our training step, without a trainer around it.

python -m benchmarks.loops.ours --corpus ml100k --strategy full
"""

from torch.nn.utils import clip_grad_norm_

from benchmarks.loops.setting import CLIP, Setting, as_in_a_run, batch, catalogue, counts, data_and_folder, placed
from benchmarks.measuring.serving import Counts, Turn, serve
from datamodules.interest_datamodule import InterestDataModule
from experiments.wiring import build_module
from lightning_modules.interest_module import InterestModule
from lightning_modules.parameter_groups import parameter_groups


def made(setting: Setting) -> tuple[InterestDataModule, InterestModule]:
    """Data and module as a run has them at its first step; as in a run, indexing adds up in a fixed order."""
    config = setting.config()
    as_in_a_run(config)
    data, _ = data_and_folder(config)
    module = build_module(config, data).to(setting.device)
    module.model.calibrate(catalogue(data, setting.device), data.log.n_items)
    return data, module.train()


def loop(setting: Setting) -> Turn:
    """A turn builds a batch and takes its step, `repeat` times."""
    data, module = made(setting)
    optimizer = module.optimizer_for(parameter_groups(module.model))
    trained = [p for p in module.parameters() if p.requires_grad]

    def turn(number: int) -> Counts:
        for _ in range(setting.repeat):
            asked = batch(data, number)
            with setting.precision():
                loss = module.model.loss(placed(asked, setting.device), module.loss)
            loss.backward()
            clip_grad_norm_(trained, CLIP)
            optimizer.step()
            optimizer.zero_grad()
        return counts(asked, setting.repeat) | {"loss": float(loss.detach())}

    return turn


def main() -> None:
    """Entry point."""
    arguments = Setting.parser("Our training step.", users=128).parse_args()
    serve(lambda: loop(Setting.of(arguments)), arguments.serve)


if __name__ == "__main__":
    main()
