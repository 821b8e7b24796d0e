"""Names that nobody knows: the suggestion is what was meant, or there is none."""

import pytest

from bioFA.experiment import Experiment, Protocol
from bioFA.measures.record import Record, SynapseTrace, Trace
from bioFA.names.elsewhere import _CALLED, _OF, _WRITTEN, CALLED, elsewhere
from bioFA.names.nearest import distance, nearest
from bioFA.network import Background, Network, Pathway, Population
from bioFA.neurons.lif_exp import LifExp
from bioFA.neurons.poisson import Poisson

SILENCING = "Silencing, clamping and lesions are written in the text"
WORDS = {
    Population: {
        "silence": SILENCING, "lesion": SILENCING, "clamp": SILENCING, "N": "size", "cell_type": "neuron",
        "sized": "size", "noise": "background", "C_m": "a neuron", "rate": "of a source", "record_from": "[record]",
        "delays": "a pathway", "seed": "--seed 3", "label": None, "initial_values": "a neuron",
    },
    Pathway: {
        "delays": "delay", "weight": "weights", "conn_spec": "connect", "probability": "connect", "pre": "source",
        "post": "target", "receptor_type": "port", "stdp": "plasticity", "rule": "plasticity", "max_delay": "delay",
        "silence": SILENCING, "syn_spec": "is a field of a pathway", "dt": "[protocol]", "w_max": "learning = {",
    },
    Protocol: {"simtime": "duration", "t_stop": "duration", "time_step": "dt", "burn_in": "warm_up", "rng": "--seed"},
    Experiment: {"model": "circuit", "duration": "[protocol]", "monitors": "[record]", "simulation": None},
    Network: {"neurons": "populations", "synapses": "pathways"},
    Record: {"rate": "rates", "record_from": "traces", "spike_monitor": "spikes", "weights": "synapses"},
    Trace: {"dt": "every", "record_from": "variables", "start": "from", "stop": "until", "ids": "neurons"},
    SynapseTrace: {"synapses": "pathway", "record": "variables"},
    LifExp: {
        "tau": "tau_m", "C_m": "c_m", "V_th": "v_th", "t_ref": "refractory", "tau_syn_ex": "tau_exc", "g_L": None,
        "v_rest": "e_l", "threshold": "v_th", "i_offset": "i_e", "V_m": "initial", "refactory": "refractory",
    },
    Poisson: {"frequency": "rate", "start": "on", "size": "a population"},
}  # fmt: skip
"""What a user of Brian2, NEST or PyNN would write, and the field that is meant, part of the sentence that says where it
is said, or nothing."""


@pytest.mark.parametrize("owner", WORDS)
def test_a_field_of_another_tool_leads_to_what_it_is_called_here(owner):
    known = sorted(part.alias or name for name, part in owner.model_fields.items())
    told = {
        word: nearest(word, known) or elsewhere(word, [kind.__name__ for kind in owner.__mro__])
        for word in WORDS[owner]
    }
    for word, meant in WORDS[owner].items():
        if meant is None:
            assert told[word] == "", word
        elif meant in known:
            assert told[word] == meant, word
        else:
            assert meant in told[word], word


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("silence", ["size", "since"], None),
        ("delay", ["density", "decay_rate"], None),
        ("orthogonal", ["lognormal", "normal"], None),
        ("e_k", ["e_l", "e_na"], None),
        ("Tau", ["tau", "tab"], "tau"),
        ("tua", ["tau", "theta"], "tau"),
        ("uu", ["u", "v"], "u"),
        ("learning_speed", ["learning_rate", "decay"], "learning_rate"),
        ("axon", ["axonal", "dendritic"], "axonal"),
        ("patient", ["patient_id", "trial"], "patient_id"),
        ("tau_exotic", ["tau_m", "v_th"], None),
        ("aeif_cond_exp", ["adex", "lif_cond", "lif_exp"], "adex"),
        ("x" * 100, ["x" * 99], None),
        ("", ["a"], None),
        ("--", ["a"], None),
    ],
)
def test_only_what_is_near_is_suggested(given, known, meant):
    assert nearest(given, known) == meant


def test_letters_that_differ_are_counted():
    for one, other, wrong in [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("kitten", "sitting", 3)]:
        assert distance(one, other) == distance(other, one) == wrong


def test_every_name_of_the_table_is_one_and_no_word_is_there_for_nothing():
    owners = [*WORDS, Background]
    fields = {part.alias or name for owner in owners for name, part in owner.model_fields.items()}
    assert {"size", "weights", "port", "duration", "c_m"} <= fields & set(CALLED)
    for name, words in _CALLED.items():
        assert len(set(words.split())) == len(words.split()), name
        assert name not in words.split(), name
    sentences = tuple(_WRITTEN)
    assert all(any(one.startswith(begin) for one in sentences) for begins in _OF.values() for begin in begins)
    assert elsewhere("nonsense") == ""
