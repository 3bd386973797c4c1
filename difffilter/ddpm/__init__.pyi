from .bias_free import (
    BiasFreeConfig as BiasFreeConfig,
)
from .bias_free import (
    BiasFreeUNet as BiasFreeUNet,
)
from .denoiser import DDPM as DDPM
from .evolution import evolve as evolve
from .evolution import generate as generate
from .export import export_onnx as export_onnx
from .process import (
    add_noise as add_noise,
)
from .process import (
    posterior_mean as posterior_mean,
)
from .process import (
    pure_noise as pure_noise,
)
from .process import (
    reverse as reverse,
)
from .process import (
    reverse_path as reverse_path,
)
from .schedule import NoiseSchedule as NoiseSchedule
from .score import (
    langevin as langevin,
)
from .score import (
    probability_flow as probability_flow,
)
from .score import (
    score as score,
)
from .unet import UNet as UNet
from .unet import UNetConfig as UNetConfig
from .weights import (
    available as available,
)
from .weights import (
    card as card,
)
from .weights import (
    load as load,
)
from .weights import (
    save as save,
)
