from .loop import (
    PRESETS as PRESETS,
)
from .loop import (
    TrainingConfig as TrainingConfig,
)
from .loop import (
    export as export,
)
from .loop import (
    fit as fit,
)
from .loop import (
    plot_log as plot_log,
)
