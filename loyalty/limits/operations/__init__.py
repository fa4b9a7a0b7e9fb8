"""Writing limits: the room's public verbs."""

from .levels import (
    ProfileNameTaken,
    ProfileNotFound,
    ReleaseNotFound,
    ReleaseTooLong,
    close_profile,
    end_release,
    forget_chain,
    make_profile,
    release,
    set_chain,
    use_profile,
)
from .setting import (
    LimitNotFound,
    LimitNotSound,
    NewLimit,
    PlateLimitNeedsPin,
    add_limit,
    compile_due,
    end_limit,
    limit_row,
    replace_limits,
)

__all__ = [
    "LimitNotFound",
    "LimitNotSound",
    "NewLimit",
    "PlateLimitNeedsPin",
    "ProfileNameTaken",
    "ProfileNotFound",
    "ReleaseNotFound",
    "ReleaseTooLong",
    "add_limit",
    "close_profile",
    "compile_due",
    "end_limit",
    "end_release",
    "forget_chain",
    "limit_row",
    "make_profile",
    "release",
    "replace_limits",
    "set_chain",
    "use_profile",
]
