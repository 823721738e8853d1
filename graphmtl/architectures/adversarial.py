r"""The adversarial shared-private scheme, ASP-MTL (Liu, Qiu, Huang, ACL 2017, "Adversarial Multi-task Learning").

It reads as ``shared-private`` does (:mod:`graphmtl.architectures.shared_private`), and its training minimises two terms
more (sections 4.2 to 4.4), after which what is shared says little of the task that a text belongs to, and what is a
task's own says little of what is shared:

.. math::
    L = L_{\mathrm{labels}} + \lambda L_{\mathrm{adv}} + \gamma L_{\mathrm{diff}}

- :math:`L_{\mathrm{adv}}`, ``--adversarial-weight``: a discriminator of tasks through a reversed gradient
  (:mod:`graphmtl.training.adversary`)
- :math:`L_{\mathrm{diff}}`, ``--orthogonality-weight``: the orthogonality of the two
  (:mod:`graphmtl.training.orthogonality`)

Each says where it departs from the paper. Prediction knows nothing of them, so that a trained model is one of
``shared-private``.
"""

from graphmtl.architectures.shared_private import SharedPrivate

__all__ = ["Adversarial"]


class Adversarial(SharedPrivate):
    """An LSTM that all tasks share and one of each task, which training holds apart (ASP-MTL).

    The equations stand at the top of :mod:`graphmtl.architectures.adversarial` (Liu et al., ACL 2017). As a layer it is
    :class:`~graphmtl.architectures.shared_private.SharedPrivate`, with the same arguments and shapes; the two terms are
    added by :class:`graphmtl.training.trainer.Trainer`, and in a loop of one's own by
    :class:`~graphmtl.training.adversary.Adversary` and :class:`~graphmtl.training.orthogonality.Orthogonality`.

    Args:
        tasks: their names.
        input_size: dimensions of a token vector.
        **values: options by name, those of :class:`~graphmtl.config.ArchitectureOptions`:

            hidden (64): LSTM units per direction, of each of the two.
            bidirectional (True): read every text in both directions.

    Shapes:
        - x (batch, tokens, input_size), padded on the right, the task's name or position, and lengths (batch,) int64 or
          mask (batch, tokens) bool; without both no text is padded
        - output: states (batch, tokens, output_size), the shared LSTM's and behind them the task's own, 0 at padding;
          ``output_size`` is twice hidden in each direction

    Raises:
        InputError: a task or an option does not exist, a value is not accepted, or a tensor has another shape.

    >>> import torch
    >>> from graphmtl.nn import Adversarial
    >>> adversarial = Adversarial(tasks=["books", "dvd"], input_size=5, hidden=4)
    >>> adversarial(torch.randn(2, 7, 5), "dvd", torch.tensor([7, 3])).shape
    torch.Size([2, 7, 16])
    """

    holds_apart = True
