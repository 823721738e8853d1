"""A plain PyTorch loop over two tasks, with the model, the batches and the optimiser of graphmtl.

    python examples/own_loop.py

The tasks are two of the generated set: ``child1`` has few examples, and its deciding words are mostly those of
``parent1``. At the end stands how often either task is right about its test texts.
"""

import torch

import graphmtl
from graphmtl.training.optimization import adamw

OPTIONS = {"tasks": "planted:parent1,child1", "arch": "star", "hidden": 32, "score": "dot", "lr": 0.01}


def main(epochs: int = 3) -> None:
    """Trains, and prints the loss of each epoch and what each task is right about."""
    options = graphmtl.make_options(**OPTIONS)
    tasks = graphmtl.load_tasks(options.tasks)
    model = graphmtl.build_model(tasks, options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    optimizer = adamw(model, options)
    batches = graphmtl.loader(tasks, model, batch_size=32)
    torch.manual_seed(0)  # of dropout
    for epoch in range(1, epochs + 1):
        total = 0.0
        model.train()
        for batch in batches:  # texts of one task; the tasks take turns
            loss = model(batch.to(device)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / len(batches):.3f}")
    model.eval()
    right = dict.fromkeys(tasks, 0)
    for batch in graphmtl.loader(tasks, model, split="test", shuffle=False):
        batch = batch.to(device)
        for task, logits in model(batch).logits.items():
            right[task] += int((logits.argmax(1) == batch.labels[task]).sum())
    for task, count in right.items():
        print(f"{task}: {count / len(tasks[task].test):.1%} of {len(tasks[task].test)} test texts right")


if __name__ == "__main__":
    main()
