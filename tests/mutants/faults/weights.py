"""Faults of networks by name and of weights in files."""

from mutants.fault import Fault

FAULTS = (
    Fault(
        "weights that lack a tensor are loaded in part",
        "networks/weights.py",
        before="bool(self.found) and not self.strange and not self.missing",
        after="bool(self.found) and not self.strange",
        tests=(
            "networks/test_weights.py::test_other_files_are_refused_and_the_network_keeps_its_weights",
        ),
    ),
    Fault(
        "weights of parts beside the network are left out",
        "networks/weights.py",
        before="elif plain.startswith(prefix) or not state.of_lightning:",
        after="elif plain.startswith(prefix):",
        tests=(
            "networks/test_weights.py::test_other_files_are_refused_and_the_network_keeps_its_weights",
        ),
    ),
    Fault(
        "of two networks in a checkpoint the first is loaded",
        "networks/weights.py",
        before="if len(fitting) > 1:",
        after="if len(fitting) > 9:",
        tests=(
            "networks/test_weights.py::test_other_files_are_refused_and_the_network_keeps_its_weights",
        ),
    ),
    Fault(
        "a prefix may end within a word",
        "networks/weights.py",
        before='if not end or end.endswith(".")',
        after="if True",
        tests=(
            "networks/test_weights.py::test_other_files_are_refused_and_the_network_keeps_its_weights",
        ),
    ),
    Fault(
        "a network that fails to load has other weights",
        "networks/weights.py",
        before="            net.load_state_dict(before, strict=False)\n",
        after="",
        tests=("networks/test_weights.py::test_a_network_that_fails_to_load_keeps_its_weights",),
    ),
    Fault(
        "only a prefix of a compiled network is removed, not one inside",
        "networks/weights.py",
        before=r"""r"(^|\.)_orig_mod\.", r"\1", name""",
        after=r"""r"^_orig_mod\.", "", name""",
        tests=("networks/test_weights.py::test_a_file_of_this_network_is_loaded_by_its_names",),
    ),
    Fault(
        "files of weights may run code",
        "networks/weights.py",
        before='map_location="cpu", weights_only=True',
        after='map_location="cpu", weights_only=False',
        tests=(
            "networks/test_weights.py::test_other_files_are_refused_and_the_network_keeps_its_weights",
        ),
    ),
    Fault(
        "modules beside a file of Python stay for the next file",
        "networks/_own_code.py",
        before="                del sys.modules[name]",
        after="                pass",
        tests=(
            "networks/test_named.py::test_files_with_one_name_beside_modules_with_one_name_are_two",
        ),
    ),
    Fault(
        "the folders of modules stay changed",
        "networks/_own_code.py",
        before="            sys.path.remove(folder)",
        after="            pass",
        tests=("networks/test_named.py::test_a_function_of_a_file_returns_the_network",),
    ),
    Fault(
        "a network of a module is shared",
        "networks/_own_code.py",
        before="return deepcopy(thing)",
        after="return thing",
        tests=("networks/test_named.py::test_a_network_of_a_module_is_copied",),
    ),
)
