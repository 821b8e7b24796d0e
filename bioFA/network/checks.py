"""What a network must agree with across its populations and pathways; each fault is raised with its place."""

from __future__ import annotations

from collections import Counter

from bioFA.distributions import Distribution
from bioFA.equations.dimensions import FREQUENCY, TIME, Dimension
from bioFA.errors import (
    BadName,
    CannotLearn,
    Contradiction,
    DuplicateName,
    Keys,
    MissingField,
    MissingSignal,
    ModelError,
    OutOfRange,
    UnknownName,
    WrongShape,
    suggestion,
    under,
)
from bioFA.expressions import RESERVED
from bioFA.network.parts import Pathway, Population
from bioFA.network.wiring import Wiring
from bioFA.synapses.connect import As
from bioFA.weights import PseudoInverseOf, Redrawn, SharedWith

RESERVED_AT_SYNAPSES = {
    "w",
    "w_before",
    "w_partner",
    "w_followed",
    "gathered",
    "norm",
    "exists",
    "low",
    "high",
    "batch",
    "sign_step",
    "T",
    "N",
    "cell",
}
"""Names that mean something else in the equations of a rule."""


def check(network: Wiring) -> None:
    """Run the checks that span populations and pathways.

    Raises:
        ModelError: naming the population or pathway at fault, if names clash, an end is missing, a shape does not fit,
            or a rule reads what is not there.
    """
    counts = Counter(part.name for part in (*network.populations, *network.pathways))
    for name, count in counts.items():
        if count > 1:
            raise DuplicateName(
                f"the name '{name}' is used {count} times. Give every population and pathway its own name."
            )
    for number, population in enumerate(network.populations):
        with under("populations", number):
            _population(network, population)
    # rules read ports, so every pathway must be right first
    for part in (_pathway, _plasticity):
        for number, pathway in enumerate(network.pathways):
            with under("pathways", number):
                try:
                    part(network, pathway)
                except ModelError as error:
                    raise error.prefixed(f"pathway '{pathway.name}': ") from None
    for number, population in enumerate(network.populations):
        for port in population.neuron.required_ports():
            if not network.arriving(population.name, port):
                raise MissingSignal(
                    f"population '{population.name}': nothing arrives at the port '{port}', which"
                    f" {type(population.neuron).__name__} needs. Add a pathway with target = '{population.name}',"
                    f" port = '{port}'.",
                    at=("populations", number),
                )
    _shared(network)


def _population(network: Wiring, population: Population) -> None:
    neuron = population.neuron
    for key, drawn in (("parameters", neuron.own_parameters()), ("initial", neuron.beginnings())):
        for name, (distribution, _) in drawn.items():
            with under("neuron", key, name):
                distribution.check_count(population.size, f"population '{population.name}': {name}")
                _of_one(distribution, f"population '{population.name}': {name}")
    for number, background in enumerate(population.background):
        with under("background", number):
            for name in ("rate", "weight"):
                with under(name):
                    _of_one(getattr(background, name), f"background of '{population.name}': {name}")
            if background.port not in neuron.ports:
                raise UnknownName(
                    f"population '{population.name}': background: {type(neuron).__name__} has no port"
                    f" '{background.port}'.{suggestion(background.port, neuron.ports)}",
                    at=("port",),
                )
            with under("rate"):
                rate = background.rate.numbers(FREQUENCY, f"background of '{population.name}': rate")
                if rate.get("value", 0.0) < 0:
                    raise OutOfRange(f"background of '{population.name}': rate must be >= 0 Hz; got {rate['value']:g}.")
            with under("weight"):
                background.weight.numbers(
                    neuron.dimension_of(background.port), f"background of '{population.name}': weight"
                )


def _of_one(distribution: Distribution, place: str) -> None:
    """Refuse a text of two neurons where there is one."""
    if distribution.pairwise:
        distribution.dimension(place)


def _texts(network: Wiring, pathway: Pathway) -> None:
    """Texts of two neurons must be readable, each in the unit of its place."""
    known = network.between(pathway).names
    parts: dict[Keys, tuple[Distribution, Dimension]] = {
        ("delay", name): (part, TIME) for name, part in pathway.delay.parts().items()
    }
    for name, drawn in (pathway.dynamics.own_parameters() if pathway.dynamics is not None else {}).items():
        parts["dynamics", name] = drawn
    if isinstance(pathway.weights, Distribution):
        parts["weights",] = (pathway.weights, network.weight_dimension(pathway))
    for path, (distribution, dimension) in parts.items():
        with under(*path):
            distribution.check_at(known, dimension, ".".join(map(str, path)))


def _shared(network: Wiring) -> None:
    """Refuse populations that disagree about a parameter which they must share."""
    first: dict[str, Population] = {}
    for number, population in enumerate(network.populations):
        for name in population.neuron.shared_parameters:
            other = first.setdefault(name, population)
            ours, theirs = (getattr(p.neuron, name) for p in (population, other))
            if ours != theirs:
                raise Contradiction(
                    f"population '{population.name}': {type(population.neuron).__name__}.{name} is {ours:g}, but it"
                    f" must be that of '{other.name}', {theirs:g}: the phases of a presentation are the same for"
                    " all. Change one of them.",
                    at=("populations", number),
                )


def _pathway(network: Wiring, pathway: Pathway) -> None:
    for end in ("source", "target"):
        if getattr(pathway, end) not in network.named_populations:
            raise UnknownName(
                f"unknown {end}"
                f" '{getattr(pathway, end)}'.{suggestion(getattr(pathway, end), network.named_populations)}"
            )
    source, target = network.population(pathway.source), network.population(pathway.target)
    if pathway.port not in target.neuron.ports:
        raise UnknownName(
            f"{type(target.neuron).__name__} has no port"
            f" '{pathway.port}'.{suggestion(pathway.port, target.neuron.ports)}"
        )
    if pathway.port in target.neuron.unread_ports():
        raise Contradiction(
            f"{type(target.neuron).__name__} of '{target.name}' is set up so that nothing reads its port"
            f" '{pathway.port}'. Drop the pathway or change the neuron."
        )
    if pathway.carries not in (*source.neuron.publishes, *source.neuron.ports) or pathway.carries == "probe":
        raise MissingSignal(
            f"cannot carry '{pathway.carries}': {type(source.neuron).__name__} publishes only:"
            f" {', '.join(source.neuron.publishes)}. Carry one of these."
        )
    if pathway.stands_for is not None and pathway.stands_for not in network.named_pathways:
        raise UnknownName(
            "stands_for names the unknown pathway"
            f" '{pathway.stands_for}'.{suggestion(pathway.stands_for, network.named_pathways)}"
        )
    if pathway.partner is not None and pathway.partner not in network.named_pathways:
        raise UnknownName(
            "partner names the unknown pathway"
            f" '{pathway.partner}'.{suggestion(pathway.partner, network.named_pathways)}"
        )
    if not pathway.delay.none and pathway.weights.one_to_one and not pathway.listed:
        raise Contradiction(
            f"{type(pathway.weights).__name__} weights pass within the step. For partners with a delay, write"
            " connect = 'one_to_one' and weights = 1.0.",
            at=("delay",),
        )
    if pathway.dynamics is not None:
        _dynamics(pathway, source)
    if pathway.listed:
        for side in ("pre", "post"):
            network.joined(pathway, side)
        _listed(network, pathway, source, target)
    elif pathway.source_part or pathway.target_part:
        raise Contradiction(
            "a part of a population is joined by single synapses. Say how they are laid, such as connect = 'all',"
            " and give weights as a number or a quantity."
        )
    else:
        _weights(network, pathway, (target.size, source.size))
        for name, part in pathway.delay.parts().items():
            with under("delay", name):
                part.check_count(target.size * source.size, f"delay.{name}")
    _texts(network, pathway)


def _dynamics(pathway: Pathway, source: Population) -> None:
    """Dynamics are of single synapses, and of spikes."""
    if not pathway.listed:
        raise Contradiction(
            "dynamics are of single synapses, but its weights are a matrix. Give connect, such as connect = 'all',"
            " and weights that are a number, a quantity or a distribution.",
            at=("dynamics",),
        )
    events = source.neuron.events
    if pathway.carries not in events:
        raise MissingSignal(
            f"dynamics act on spikes, but it carries '{pathway.carries}' of {type(source.neuron).__name__}, which"
            f" sends as spikes: {', '.join(events) or 'nothing'}. Carry spikes, or leave dynamics out.",
            at=("dynamics",),
        )


def _listed(network: Wiring, pathway: Pathway, source: Population, target: Population) -> None:
    """What synapses that are listed one by one must agree with."""
    assert pathway.connect is not None
    for name, given in (
        ("density", pathway.density < 1),
        ("fan_in", pathway.fan_in is not None),
        ("zero_is_absent", pathway.zero_is_absent),
        ("sign", pathway.sign == "concordant"),
    ):
        if given:
            raise Contradiction(
                f"{name} belongs to a matrix of weights, but connect lists single synapses. Leave {name} out;"
                f" connect = '{pathway.connect.family_name}' says which there are.",
                at=(name,),
            )
    if pathway.sign != "any" and source.inhibitory is not None:
        raise Contradiction(
            f"sign = '{pathway.sign}' contradicts Dale's law of '{source.name}', whose cells decide the signs."
            " Leave sign out."
        )
    with under("weights"):
        pathway.weights.numbers(network.weight_dimension(pathway), "weights")
    with under("connect"):
        _as(network, pathway)
        connect = network.laid_by(pathway).connect
        assert connect is not None
        connect.check(shape := network.laying(pathway))
        pre, post = network.joined(pathway, "pre"), network.joined(pathway, "post")
        overlap = pathway.source == pathway.target and pre.start < post.stop and post.start < pre.stop
        if overlap and not shape.same and not connect.autapses:
            raise Contradiction(
                "autapses = false, but source and target are different parts of one population that overlap. Give"
                " parts that do not, or the same part."
            )


def _as(network: Wiring, pathway: Pathway) -> None:
    """A pathway laid as another one must find it, between as many neurons."""
    if not isinstance(pathway.connect, As):
        return
    if pathway.connect.pathway not in network.named_pathways:
        raise UnknownName(
            f"connect = 'as': nothing is called '{pathway.connect.pathway}'."
            f"{suggestion(pathway.connect.pathway, network.named_pathways)}",
            at=("pathway",),
        )
    other = network.pathway(pathway.connect.pathway)
    if not other.listed or isinstance(other.connect, As):
        raise Contradiction(
            f"connect = 'as': '{other.name}' lists no synapses of its own. Name a pathway that does.",
            at=("pathway",),
        )
    if network.shape(other) != network.shape(pathway):
        raise WrongShape(
            f"connect = 'as' needs as many neurons on both sides, (n_post, n_pre) = {network.shape(pathway)};"
            f" '{other.name}' has {network.shape(other)}.",
            at=("pathway",),
        )


def _weights(network: Wiring, pathway: Pathway, shape: tuple[int, int]) -> None:
    weights = pathway.weights
    if (not weights.owns or weights.one_to_one) and (pathway.sparse or pathway.sign != "any"):
        raise Contradiction(
            f"density, fan_in and sign belong to a pathway that draws its own weights; {type(weights).__name__}"
            " draws none. Give them to the pathway whose weights these are."
        )
    if pathway.fan_in is not None and (pathway.density < 1 or pathway.fan_in > shape[1]):
        raise WrongShape(
            f"fan_in must be at most {shape[1]}, the size of '{pathway.source}', and excludes density; got"
            f" {pathway.fan_in} with density {pathway.density:g}."
        )
    if pathway.zero_is_absent and (pathway.density < 1 or pathway.fan_in is not None):
        raise Contradiction(
            "zero_is_absent takes the absent synapses from the initial weights, and density or fan_in draw them."
            " Leave one out."
        )
    if pathway.sign in ("excitatory", "inhibitory") and network.population(pathway.source).inhibitory is not None:
        raise Contradiction(
            f"sign = '{pathway.sign}' contradicts Dale's law of '{pathway.source}', whose cells decide the signs."
            " Leave sign out."
        )
    if pathway.sign == "concordant":
        if pathway.stands_for is None:
            raise MissingField(
                "has no signs to take: sign = 'concordant' follows the pathway that it stands for. Give stands_for."
            )
        _stored(network.pathway(pathway.stands_for), "takes the signs of")
        if (followed := network.shape(network.pathway(pathway.stands_for))[::-1]) != shape:
            raise WrongShape(
                f"weights must have the shape (n_post, n_pre) = {shape}; '{pathway.stands_for}' transposed has"
                f" {followed}. Let it stand for the pathway that runs the other way."
            )
    if not weights.owns:
        assert isinstance(weights, (SharedWith, PseudoInverseOf))
        if weights.pathway not in network.named_pathways:
            raise UnknownName(
                "shares the weights of the unknown pathway"
                f" '{weights.pathway}'.{suggestion(weights.pathway, network.named_pathways)}"
            )
        owner = network.pathway(weights.pathway)
        _stored(owner, "shares with")
        owned = network.shape(owner)
        offered = owned[::-1] if weights.transposed else owned
        if offered != shape:
            turned = " transposed" if weights.transposed else ""
            raise WrongShape(
                f"weights must have the shape (n_post, n_pre) = {shape}; '{owner.name}'{turned} has {offered}."
                " Share with a pathway between populations of these sizes."
            )
    elif weights.one_to_one and shape[0] != shape[1]:
        raise WrongShape(
            f"Identity weights join populations of equal size; got {shape[1]} to {shape[0]} neurons. Use other"
            " weights, such as Normal, or equal sizes."
        )
    with under("weights"):
        given = weights.shape()
    if given is not None and given != shape:
        raise WrongShape(
            f"weights must have the shape (n_post, n_pre) = {shape}; got {given}. Give one row a postsynaptic"
            " neuron, or change the sizes."
        )


def _stored(owner: Pathway, verb: str) -> None:
    if owner.listed:
        raise Contradiction(f"{verb} '{owner.name}', whose synapses are listed one by one. Name one with a matrix.")
    if isinstance(owner.weights, (SharedWith, PseudoInverseOf)):
        raise Contradiction(
            f"{verb} '{owner.name}', which has no weights of its own. Name '{owner.weights.pathway}' instead."
        )
    if owner.weights.one_to_one:
        raise Contradiction(f"{verb} '{owner.name}', which is one to one. Use the same Identity weights instead.")


def _plasticity(network: Wiring, pathway: Pathway) -> None:
    rule = pathway.plasticity
    if rule is None:
        return
    source, target = network.population(pathway.source), network.population(pathway.target)
    name = type(rule).__name__
    if pathway.listed and rule.needs_partner:
        raise CannotLearn(
            f"cannot learn by {name}, which reads the weights of a partner, synapse by synapse: listed synapses"
            " have none. Give a matrix of weights, or another rule."
        )
    if pathway.dynamics is not None:
        raise CannotLearn(
            "cannot learn: its synapses have dynamics, which rest on a fixed weight. Leave dynamics or plasticity out.",
            at=("dynamics",),
        )
    if isinstance(pathway.weights, (SharedWith, PseudoInverseOf)):
        raise CannotLearn(
            f"cannot learn, since its weights belong to '{pathway.weights.pathway}'. Put the plasticity there."
        )
    if isinstance(pathway.weights, Redrawn):
        raise CannotLearn("cannot learn: Redrawn weights last for one presentation. Use weights that are drawn once.")
    if pathway.sign == "concordant":
        raise CannotLearn(
            "cannot learn: its signs are those of another pathway. Use another sign for a plastic pathway."
        )
    for variable in rule.filters():
        if variable in (*RESERVED, *RESERVED_AT_SYNAPSES, *rule.parameters()):
            raise BadName(
                f"{name} keeps a variable '{variable}' at each synapse, a name that means something else there."
                " Call it otherwise."
            )
    for own in (*rule.state, *rule.parameters()):
        if own.endswith(("_pre", "_post")):
            side = "presynaptic" if own.endswith("_pre") else "postsynaptic"
            raise BadName(f"{name}: the name '{own}' ends like a variable of the {side} neuron. Call it otherwise.")
    if rule.needs_partner:
        if pathway.partner is None:
            raise MissingField(
                f"{name} reads the weights of a partner. Give partner, the name of a pathway of the same shape."
            )
        partner = network.pathway(pathway.partner)
        _stored(partner, "has the partner")
        if network.shape(partner) != network.shape(pathway):
            raise WrongShape(
                f"its partner must have the shape (n_post, n_pre) = {network.shape(pathway)}; '{partner.name}' has"
                f" {network.shape(partner)}."
            )
    if pathway.weights.one_to_one:
        raise CannotLearn(
            "cannot learn: Identity weights are fixed. Use Values or Normal weights for a plastic pathway."
        )
    units = [p for p in network.populations if p.neuron.compares_targets]
    readouts = [network.population(p.source) for unit in units for p in network.arriving(unit.name, "prediction")]
    for parameters, populations, whose in (
        (rule.neuron_parameters, [target], "the postsynaptic neuron"),
        (rule.error_parameters, units, "the error unit"),
        (rule.readout_parameters, [p for p in readouts if not p.neuron.spikes], "the readout"),
    ):
        for population in populations:
            theirs = population.neuron.parameters()
            for own, its in parameters.items():
                if its in theirs and rule.parameters()[own] != theirs[its]:
                    raise Contradiction(
                        f"{name}.{own} is {rule.parameters()[own]:g}, but it must be that of {whose}:"
                        f" {type(population.neuron).__name__}.{its} of '{population.name}' is {theirs[its]:g}."
                        " Change one of them."
                    )
    for reads, population, side in (
        (pathway.reads_pre(), source, "presynaptic"),
        (rule.reads_post, target, "postsynaptic"),
    ):
        neuron = population.neuron
        for variable in reads:
            if variable not in neuron.readable() or variable == "probe":
                raise MissingSignal(
                    f"{name} reads '{variable}' of its {side} population, but {type(neuron).__name__} publishes"
                    f" only: {', '.join(neuron.publishes)}. Use another rule, or another neuron model for"
                    f" '{population.name}'."
                )
            if variable in neuron.ports and not network.arriving(population.name, variable):
                raise MissingSignal(
                    f"{name} reads '{variable}' of '{population.name}', but no pathway arrives at that port, so"
                    f" nothing would ever be learned. Add a pathway with target = '{population.name}', port ="
                    f" '{variable}'."
                )
