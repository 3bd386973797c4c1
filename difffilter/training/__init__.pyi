from .config import PRESETS as PRESETS
from .config import TrainingConfig as TrainingConfig
from .ddpm import export as export
from .ddpm import fit as fit
from .log import plot_log as plot_log
