"""Law 6: interests equal their formulas, read from the docstrings and written out as loops, and PyTorch's layers."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from datamodules.types import Events, Queries
from lightning_modules.interests.graph import GraphInterest
from lightning_modules.interests.graph_recency import GraphRecencyInterest
from lightning_modules.interests.graph_uniform import GraphUniformInterest
from lightning_modules.interests.mean import MeanInterest
from lightning_modules.interests.transformer import TransformerInterest
from lightning_modules.parts.causal_block import CausalBlock
from tests.lightning_modules.composition import (
    BEHAVIOURS,
    DAY,
    HISTORY,
    LENGTHS,
    D,
    ask_at_the_end,
    ask_everywhere,
    build,
    close,
    draw_events,
    draw_vectors,
    stirred,
)


def edge(vectors, i, j, tau):
    """a_ij = max(cos(v_i, v_j) - tau, 0) for j before i."""
    return max(float(cosine_similarity(vectors[i], vectors[j], dim=0)) - tau, 0.0) if j < i else 0.0


def propagated(vectors, gates, tau):
    """Rounds of v_i <- v_i + g sum_j a_ij v_j / sum_j a_ij, with edges of the vectors as they came."""
    edges = [[edge(vectors, i, j, tau) for j in range(len(vectors))] for i in range(len(vectors))]
    nodes = list(vectors)
    for gate in gates:
        before = list(nodes)
        for i, row in enumerate(edges):
            if sum(row) > 0:
                nodes[i] = before[i] + gate * sum(a * v for a, v in zip(row, before, strict=True)) / sum(row)
    return torch.stack(nodes), edges


def logit(part, nodes, edges, events, user, t, i):
    """The weight's logit of event i for the query at position t, as the docstring has it."""
    affinity = float((part.query.weight @ nodes[t]) @ (part.key.weight @ nodes[i])) / math.sqrt(D)
    days = float(events.time[user, t] - events.time[user, i]) / DAY
    degree = sum(edges[i][j] for j in range(i)) + sum(edges[k][i] for k in range(i + 1, t + 1))
    return (
        affinity
        - float(part.step_decay) * math.log(1 + t - i)
        - float(part.day_decay) * math.log(1 + days)
        + float(part.behaviour[events.behaviour[user, i]])
        + float(part.strength) * float(events.strength[user, i])
        + float(part.degree) * math.log(1 + degree)
    )


@torch.no_grad()
@pytest.mark.parametrize("tau", [-0.5, 0.0, 0.3])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_graph_equals_its_loop(steps, tau):
    part, vectors, events = build("interest", "graph", steps=steps, tau=tau), draw_vectors(), draw_events()
    found = part(vectors[events.slot], events, ask_everywhere(events))
    gates = part.gates.tolist() if steps else []
    for user, length in enumerate(LENGTHS):
        nodes, edges = propagated(vectors[events.slot[user, :length]], gates, tau)
        close(found.nodes[user, :length], nodes)
        for t in range(length):
            logits = [logit(part, nodes, edges, events, user, t, i) for i in range(t + 1)]
            close(found.weights[user, t, : t + 1], torch.tensor(logits).softmax(0))


def test_before_training_the_graph_weighs_by_affinity_and_recency_alone():
    part = GraphInterest(D, BEHAVIOURS, steps=2)
    assert part.gates.tolist() == [0, 0]
    assert part.behaviour.tolist() == [0] * BEHAVIOURS
    learned = (part.step_decay, part.day_decay, part.strength, part.degree)
    assert [x.item() for x in learned] == [0.5, 0, 0, 0]


def test_recency_by_hand():
    # Two events, asked at the second, one and no step ago: logits -0.5 log 2 and 0, weights 2^-0.5 : 1.
    part = GraphInterest(D, BEHAVIOURS, steps=0).eval()
    nn.init.zeros_(part.query.weight)
    events = draw_events(lengths=(2,))
    weights = part(torch.randn(1, 2, D), events, ask_at_the_end(events)).weights
    close(weights[0, 0], torch.tensor([1 / math.sqrt(2), 1.0]) / (1 + 1 / math.sqrt(2)))


@torch.no_grad()
@pytest.mark.parametrize("steps", [0, 2])
def test_the_recency_graph_is_a_graph_that_learned_nothing_but_ages(steps):
    part, vectors, events = build("interest", "graph", steps=steps), draw_vectors(), draw_events()
    for weight in (part.query.weight, part.behaviour, part.strength, part.degree):
        nn.init.zeros_(weight)
    plain = build("interest", "graph_recency", steps=steps)
    plain.load_state_dict({name: value for name, value in part.state_dict().items() if name in plain.state_dict()})
    asked = (vectors[events.slot], events, ask_everywhere(events))
    expected, found = part(*asked), plain(*asked)
    assert part.step_decay != 0.5  # `build` stirs what is learned
    close(found.nodes, expected.nodes)
    close(found.weights, expected.weights)


@torch.no_grad()
def test_the_uniform_graph_has_the_graphs_nodes_and_the_means_weights():
    part, vectors, events = build("interest", "graph_uniform", steps=2), draw_vectors(), draw_events()
    graph = build("interest", "graph", steps=2)
    graph.gates.copy_(part.gates)
    asked = (vectors[events.slot], events, ask_everywhere(events))
    found = part(*asked)
    close(found.nodes, graph(*asked).nodes)
    close(found.weights, MeanInterest()(*asked).weights)


def test_mean_by_hand():
    events = draw_events(lengths=(3, 1))
    found = MeanInterest()(torch.randn(2, 3, D), events, ask_everywhere(events))
    close(found.weights[0], torch.tensor([[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]]))
    close(found.weights[1, 0], torch.tensor([1.0, 0, 0]))
    assert found.owner.tolist() == [[0, 1, 2], [0, -1, -1]]


@torch.no_grad()
def test_attention_equals_its_loop():
    part, vectors, events = build("interest", "attention", hidden=5), draw_vectors(), draw_events()
    found = part(vectors[events.slot], events, ask_everywhere(events))
    for user, length in enumerate(LENGTHS):
        for t in range(length):
            seen = vectors[events.slot[user, : t + 1]]
            logits = torch.stack([part.query.weight[0] @ torch.tanh(part.project(v)) for v in seen])
            close(found.weights[user, t, : t + 1], logits.softmax(0))
            close(found.nodes[user, : t + 1], seen)


def torch_layer(block, dim, heads):
    """PyTorch's encoder layer with the weights of a block."""
    layer = nn.TransformerEncoderLayer(dim, heads, dim, 0.0, "gelu", batch_first=True, norm_first=True).eval()
    pairs = {
        "norm1": block.attention_norm,
        "norm2": block.forward_norm,
        "linear1": block.forward_in,
        "linear2": block.forward_out,
        "self_attn.out_proj": block.out,
    }
    state = {f"{name}.{kind}": getattr(module, kind) for name, module in pairs.items() for kind in ("weight", "bias")}
    state |= {f"self_attn.in_proj_{kind}": getattr(block.query_key_value, kind) for kind in ("weight", "bias")}
    layer.load_state_dict(state)
    return layer


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_a_causal_block_is_pytorchs_layer(heads):
    block = stirred(CausalBlock(D, heads, 0.3)).eval()
    hidden, mask = torch.randn(3, 7, D), nn.Transformer.generate_square_subsequent_mask(7)
    close(block(hidden), torch_layer(block, D, heads)(hidden, src_mask=mask, is_causal=True))


@torch.no_grad()
def test_the_transformer_is_pytorchs_encoder_over_vectors_and_positions():
    part, vectors, events = build("interest", "transformer", layers=3), draw_vectors(), draw_events()
    hidden = vectors[events.slot] + part.positions[: events.slot.shape[1]]
    mask = nn.Transformer.generate_square_subsequent_mask(events.slot.shape[1])
    for block in part.blocks:
        hidden = torch_layer(block, D, 2)(hidden, src_mask=mask, is_causal=True)
    found = part(vectors[events.slot], events, ask_at_the_end(events))
    expected = torch.stack([part.norm(hidden)[user, length - 1] for user, length in enumerate(LENGTHS)])
    close((found.weights @ found.nodes)[:, 0], expected)


@pytest.mark.parametrize("name", ["attention", "graph", "graph_recency", "graph_uniform", "transformer"])
def test_dropout_acts_in_training_alone(name):
    part, vectors, events = build("interest", name, dropout=0.5), draw_vectors(), draw_events()
    twice = [part(vectors[events.slot], events, ask_everywhere(events)).nodes for _ in range(2)]
    assert torch.equal(*twice)
    part.train()
    twice = [part(vectors[events.slot], events, ask_everywhere(events)).nodes for _ in range(2)]
    assert not torch.equal(*twice)


def too_long() -> tuple[Events, Queries]:
    events = draw_events(lengths=(HISTORY + 1,))
    return events, ask_everywhere(events)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="steps is -1"):
        GraphInterest(D, BEHAVIOURS, steps=-1)
    with pytest.raises(ValueError, match="steps is -1"):
        GraphUniformInterest(steps=-1)
    with pytest.raises(ValueError, match="steps is -2"):
        GraphRecencyInterest(steps=-2)
    with pytest.raises(ValueError, match="hidden is 0"):
        build("interest", "attention", hidden=0)
    with pytest.raises(ValueError, match="layers is 0"):
        build("interest", "transformer", layers=0)
    with pytest.raises(ValueError, match="vectors of size 8 do not divide into 3"):
        TransformerInterest(D, HISTORY, heads=3)
    with pytest.raises(ValueError, match="a history of 25 events came to a transformer of 24"):
        build("interest", "transformer")(torch.randn(1, HISTORY + 1, D), *too_long())


def test_without_propagation_no_gate_trains():
    """A parameter without elements gets no gradient, and a distributed run waits for it in vain."""
    part = build("interest", "graph", steps=0)
    assert part.gates is None
    assert all(parameter.numel() for parameter in part.parameters())
