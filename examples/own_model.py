"""A star of tasks inside a plain PyTorch model: token ids in, logits out, with torch alone.

    python examples/own_model.py

Two made-up tasks ask the same: are most words of a text from 1 to 9, not 10 to 19? One has 600 examples, the other 20.
At the end stands how often each is right about new texts, and how much of what its LSTM said came from the shared one.
"""

import torch
from torch import Tensor, nn

from graphmtl.nn import Star


class Classifier(nn.Module):
    """Word embeddings, a star, and a linear layer for each task."""

    def __init__(self, *, words: int, tasks: list[str], classes: int, size: int = 16):
        super().__init__()
        self.embedding = nn.Embedding(words, size, padding_idx=0)
        self.star = Star(tasks=tasks, input_size=size, hidden=size, attention=8, score="dot")
        self.heads = nn.ModuleDict({task: nn.Linear(self.star.output_size, classes) for task in tasks})

    def forward(self, tokens: Tensor, task: str) -> tuple[Tensor, Tensor]:
        """Ids (batch, tokens), 0 at padding, to logits (batch, classes) and what was read from the shared LSTM."""
        mask = tokens != 0  # (batch, tokens)
        states, edges = self.star(self.embedding(tokens), task, mask=mask, return_edge_weights=True)
        h = states.sum(1) / mask.sum(1, keepdim=True)  # (batch, output_size): the mean, states are 0 at padding
        return self.heads[task](h), edges.per_instance()  # (batch, classes), (batch, 1)


def texts(count: int) -> tuple[Tensor, Tensor]:
    """Random texts of 5 to 11 words as ids (count, 11), 0 at padding, and their labels (count,)."""
    lengths = 2 * torch.randint(2, 6, (count, 1)) + 1
    tokens = torch.randint(1, 20, (count, 11)) * (torch.arange(11) < lengths)
    return tokens, (2 * ((tokens > 0) & (tokens < 10)).sum(1) > lengths.squeeze(1)).long()


def main(steps: int = 300) -> None:
    """Trains, and prints what each task is right about."""
    torch.manual_seed(0)
    data, new = {"rich": texts(600), "poor": texts(20)}, texts(500)
    model = Classifier(words=20, tasks=[*data], classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        task = [*data][step % 2]
        rows = torch.randint(len(data[task][0]), (16,))
        tokens, labels = (values[rows] for values in data[task])
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens, task)[0], labels).backward()
        optimizer.step()
    for task in data:
        logits, spoke = model(new[0], task)
        right = (logits.argmax(1) == new[1]).float().mean()
        print(f"{task}: {right:.1%} right, {spoke.mean():.0%} of it read from the shared LSTM")


if __name__ == "__main__":
    main()
