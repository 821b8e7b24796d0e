"""What Brian2, NEST, PyNN and their users call what has another name, or another place, here."""

from __future__ import annotations

from collections.abc import Iterable

_CALLED = {
    # populations and pathways
    "circuit": "network model",
    "size": "n num number n_neurons num_neurons neurons population_size",
    "neuron": "cell cells cell_class cell_type model neuron_model params",
    "populations": "neurons groups layers nodes cells neuron_groups",
    "pathways": "synapses connections projections edges links",
    "source": "pre presynaptic presynaptic_population sender from",
    "target": "post postsynaptic postsynaptic_population receiver to",
    "port": "receptor receptor_type synapse_type channel",
    "connect": (
        "conn_spec connector connectivity connection connection_rule probability p pairwise_bernoulli "
        "indegree outdegree fixed_indegree"
    ),
    "weights": "w strength g_syn syn_weight",
    "delay": "latency conduction_delay transmission_delay",
    "dynamics": "stp short_term_plasticity depression facilitation tsodyks tsodyks_markram",
    "plasticity": "stdp learning_rule rule synapse_model on_pre on_post",
    "background": "noise poisson poisson_input external external_input bg bg_rate stimulus input",
    "count": "n number indegree outdegree n_synapses",
    "multapses": "allow_multapses with_multapses",
    "autapses": "allow_autapses self_connections allow_self_connections",
    # time, and what is kept
    "duration": "simtime sim_time t_stop t_sim run_time time tstop stop_time length biological_time",
    "dt": "timestep time_step resolution step h",
    "warm_up": "burn_in transient presim_time t_presim discard",
    "trials": "repeats repetitions n_repeats",
    "spikes": "spike_monitor record_spikes spike_recorder spike_detector",
    "traces": "state_monitor states voltage multimeter record_v membrane_potential v v_m record_from",
    "rates": "population_rate rate rate_monitor population_rate_monitor",
    "variables": "record_from recordables record states weights",
    "neurons": "indices ids cells index",
    "pathway": "synapses connection projection",
    "synapses": "weights weight_monitor synapse_monitor",
    "every": "interval sampling_interval period dt timestep",
    "on": "start stop begin end t_start t_stop",
    "from": "start begin t_start since",
    "until": "stop end to t_stop",
    # parameters
    "initial": "init v v_m v_init v0 initial_value initial_values initialize",
    "refractory": "t_ref tau_ref tau_refrac refractory_period",
    "refractory_period": "t_ref tau_ref tau_refrac refractory",
    "tau_m": "tau tau_mem tau_membrane membrane_time_constant",
    "tau": "tau_m tau_mem tau_membrane membrane_time_constant time_constant",
    "c_m": "c cap capacitance membrane_capacitance",
    "e_l": "v_rest e_leak e_rest v_leak resting_potential",
    "v_th": "v_t v_thresh v_threshold threshold theta",
    "v_t": "v_th v_thresh v_threshold threshold theta",
    "g_l": "g_leak leak_conductance r_m",
    "v_spike": "v_th threshold",
    "tau_exc": "tau_e tau_ex tau_syn_e tau_syn_ex tau_syn_exc tau_ampa tau_syn",
    "tau_inh": "tau_i tau_in tau_syn_i tau_syn_in tau_syn_inh tau_gaba",
    "e_e": "e_ex e_exc e_rev_e e_ampa",
    "e_i": "e_in e_inh e_rev_i e_gaba",
    "i_e": "i_offset i_ext i_stim i_inj i current bias",
    "model": "equations eqs eq ode",
    "parameters": "params namespace constants",
    "arrival": "on_pre on_arrival",
    "equation": "eqs model",
    "learning_rate": "eta lr alpha rate",
    "std": "sd sigma stdev scale",
    "sigma": "std sd amplitude",
    "low": "lo min minimum lower",
    "high": "hi max maximum upper",
    "rate": "frequency freq lambda",
    "tau_facil": "tau_fac tau_f",
    "tau_rec": "tau_d tau_r",
    # parts
    "lif": "leaky_integrate_and_fire integrate_and_fire iaf",
    "lif_exp": "iaf_psc_exp if_curr_exp",
    "lif_alpha": "iaf_psc_alpha if_curr_alpha",
    "lif_cond": "iaf_cond_exp if_cond_exp",
    "adex": "aeif_cond_exp eif_cond_exp_isfa_ista ad_exp_if",
    "hodgkin_huxley": "hh hh_psc_alpha hh_cond_exp hh_cond_exp_traub traub_miles",
    "poisson": "poisson_generator poisson_group spike_source_poisson",
    "spikes_from": "spike_generator spike_generator_group spike_source_array",
    "current": "dc_generator ac_generator dc_source step_current_generator step_current_source timed_array",
    "ornstein_uhlenbeck": "ou ou_process noise_generator noisy_current_source",
    "tsodyks_markram": "stp tsodyks_synapse tsodyks2_synapse tsodyks_markram_synapse",
    "probability": "pairwise_bernoulli fixed_probability_connector random bernoulli",
    "fan_in": "fixed_indegree indegree fixed_number_pre_connector",
    "fan_out": "fixed_outdegree outdegree fixed_number_post_connector",
    "total": "fixed_total_number",
    "all": "all_to_all all_to_all_connector full dense",
    "one_to_one": "one_to_one_connector identity",
    "pairs": "from_list_connector list explicit",
    "where": "distance_dependent_probability_connector",
    "normal": "gaussian",
}
CALLED = {name: frozenset(words.replace("_", "").split()) for name, words in _CALLED.items()}
"""What others call a name, without case and underscores."""

_SILENT = (
    "Silencing, clamping and lesions are written in the text of a neuron, which knows the time t and its number i, such"
    ' as threshold = "v > v_th and not (t >= 200*ms and t < 300*ms)"'
)
_WRITTEN = {
    _SILENT: (
        "silence silenced silencing lesion lesions lesioned ablate ablation clamp clamped clamps v_clamp inactivate "
        "inactivation optogenetics"
    ),
    "The seed is no part of a model: biofa run MODEL --seed 3": "seed rng seeds rng_seed random_seed grng_seed",
    "How a model is run is no part of it: biofa run MODEL --backend cpp": "backend device codegen target_device",
    "How a model is run is no part of it: biofa run MODEL --threads 2": (
        "threads n_threads num_threads local_num_threads cpus"
    ),
    "In a file, each of weights, delay, port, dynamics and plasticity is a field of a pathway": (
        "syn_spec syn_params synapse_params syn_dict conn_params"
    ),
    "Neurons have the parameters of their model in neuron = { name = ..., ... }": (
        "params cell_params parameters model_params"
    ),
    "Bounds of weights that learn are learning = { low = ..., high = ... } of a pathway": (
        "w_max w_min wmax wmin g_max bounds clip"
    ),
    "Positions are parameters of a neuron, which texts of connect, weights and delay read": (
        "position positions structure space layout"
    ),
    'Rates are those of a source, neuron = { name = "poisson", rate = "8 Hz" }, or of background': (
        "rate rates frequency"
    ),
    "What a network is given comes from source populations (poisson, current, spikes_from) or background": (
        "stimulus stimuli input inputs external_input"
    ),
    "It belongs to [protocol]": "duration dt trials warm_up simtime sim_time t_stop t_sim run_time timestep resolution",
    "It belongs to [record]": "spikes traces rates record_from spike_monitor state_monitor monitors monitor",
    "It belongs to [circuit]": "populations pathways neurons synapses connections projections groups",
    "It belongs to a population": "size neuron background poisson_input",
    "It belongs to a pathway": (
        "weights weight w delay delays port connect conn_spec connector dynamics stp plasticity stdp connectivity"
    ),
    "It belongs to a neuron": (
        "threshold reset refractory tau tau_m c_m cm v_th v_thresh v_reset v_rest e_l t_ref equations eqs initial "
        "initial_values init v_init"
    ),
}
ELSEWHERE = {
    word.replace("_", ""): sentence for sentence, words in reversed(_WRITTEN.items()) for word in words.split()
}
"""Where something is said that is no field of what it was given to, by its word without case and underscores."""


_OF = {
    "NeuronModel": ("It belongs to a neuron", "Neurons have"),
    "Population": ("It belongs to a population",),
    "Pathway": ("It belongs to a pathway",),
    "Network": ("It belongs to [circuit]",),
    "Record": ("It belongs to [record]",),
    "Protocol": ("It belongs to [protocol]",),
}


def elsewhere(word: str, owners: Iterable[str] = ()) -> str:
    """A sentence that says where something is said here, with a space before it; empty for words of no other tool.

    `owners` are the names of the class that does not know it, and of its bases: nothing is sent where it comes from.
    """
    found = ELSEWHERE.get(word.lower().replace("_", ""), "")
    here = any(found.startswith(_OF.get(owner, ())) for owner in owners)
    return f" {found}." if found and not here else ""
