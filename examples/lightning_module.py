"""graphmtl's model and batches in a LightningModule; without Lightning it says so, and ends.

    python examples/lightning_module.py

At the end stands the mean validation loss of each task.
"""

import sys

import graphmtl
from graphmtl.training.optimization import adamw

try:
    import lightning
except ImportError:
    print("Lightning is not installed (pip install lightning); nothing was trained")
    sys.exit()

OPTIONS = {"tasks": "planted:parent1,child1", "arch": "complete", "hidden": 32, "score": "dot", "lr": 0.01}


class MultiTask(lightning.LightningModule):
    """A model of all tasks, trained on batches of one task each."""

    def __init__(self, tasks: graphmtl.TaskSet, options: graphmtl.Options):
        super().__init__()
        self.options, self.model = options, graphmtl.build_model(tasks, options)

    def training_step(self, batch, _):
        """The loss of a batch."""
        return self.model(batch).loss

    def validation_step(self, batch, _):
        """Notes the loss of each task."""
        for task, loss in self.model(batch).losses.items():
            self.log(task, loss, batch_size=len(batch.lengths))

    def configure_optimizers(self):
        """AdamW, as ``graphmtl run`` has it."""
        return adamw(self.model, self.options)


def main(epochs: int = 2) -> None:
    """Trains, and prints the validation loss of each task."""
    options = graphmtl.make_options(**OPTIONS)
    tasks = graphmtl.load_tasks(options.tasks)
    module = MultiTask(tasks, options)
    train = graphmtl.loader(tasks, module.model)
    valid = graphmtl.loader(tasks, module.model, split="valid", shuffle=False)
    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(module, train, valid)
    for task in tasks:
        print(f"{task}: validation loss {trainer.callback_metrics[task]:.3f}")


if __name__ == "__main__":
    main()
