"""Methods that peft does not have, made known to it.

peft finds a method by a member of its enum `PeftType`. The enum is closed, so the member is added by hand, which relies
on how Python and peft keep it; hence the check of peft's version.
"""

import peft
from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import register_peft_method
from peft.utils.peft_types import PeftType

KNOWN_PEFT = ("0.21.",)


def register(name: str, config: type[PeftConfig], model: type[BaseTuner]) -> None:
    """Make a method known to peft under `name`, in lower case; `model.prefix` must be the name and "_".

    A folder that peft saved with it opens once the file that calls this is imported. A second call changes nothing.
    Raises ImportError under a version of peft that this was not tried with.
    """
    if type_of(name) not in PEFT_TYPE_TO_TUNER_MAPPING:
        register_peft_method(name=name, config_cls=config, model_cls=model)


def type_of(name: str) -> PeftType:
    """The member of peft's enum that stands for a method of ours, added where it is not there yet."""
    if name.upper() not in PeftType._member_map_:
        _extend_peft_types(name.upper())
    return PeftType(name.upper())


def _extend_peft_types(key: str) -> None:
    """As the enum's own machinery would have."""
    if not peft.__version__.startswith(KNOWN_PEFT):
        raise ImportError(
            f"the method {key.lower()} was made for peft {', '.join(KNOWN_PEFT)}x and this is {peft.__version__}: "
            "install 'peft>=0.21,<0.22', or run the tests and add the version to KNOWN_PEFT in parts/peft_methods.py"
        )
    member = str.__new__(PeftType, key)
    member._name_ = key
    member._value_ = key
    member.__objclass__ = PeftType
    member._sort_order_ = len(PeftType)
    PeftType._member_names_.append(key)
    PeftType._member_map_[key] = member
    PeftType._value2member_map_[key] = member
    type.__setattr__(PeftType, key, member)
