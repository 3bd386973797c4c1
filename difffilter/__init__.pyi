__version__: str

from . import generate as generate
from . import sound as sound
from .api import (
    denoise as denoise,
)
from .api import (
    estimate_parameters as estimate_parameters,
)
from .blend import Blended as Blended
from .catalog import make as make
from .catalog import methods as methods
from .denoiser import Denoiser as Denoiser
from .denoiser import Identity as Identity
from .inpainting.api import inpaint as inpaint
from .inpainting.catalog import inpainters as inpainters
from .inpainting.catalog import make_inpainter as make_inpainter
from .inpainting.inpainter import Inpainter as Inpainter
from .metrics import psnr as psnr
from .metrics import ssim as ssim
from .noise.estimation import estimate_shot_noise as estimate_shot_noise
from .noise.estimation import estimate_sigma as estimate_sigma
from .noise.kinds import add_noise as add_noise
from .noise.measure import estimate_noise as estimate_noise
from .noise.model import NoiseModel as NoiseModel
from .pde.anisotropic import (
    CoherenceEnhancing as CoherenceEnhancing,
)
from .pde.anisotropic import (
    EdgeEnhancing as EdgeEnhancing,
)
from .pde.anisotropic import (
    coherence_enhancing as coherence_enhancing,
)
from .pde.anisotropic import (
    edge_enhancing as edge_enhancing,
)
from .pde.auto import Auto as Auto
from .pde.curvature_motion import CurvatureMotion as CurvatureMotion
from .pde.curvature_motion import curvature_motion as curvature_motion
from .pde.forward_backward import ForwardBackward as ForwardBackward
from .pde.forward_backward import forward_backward as forward_backward
from .pde.heat import Heat as Heat
from .pde.heat import heat as heat
from .pde.learned import Learned as Learned
from .pde.learned import learned as learned
from .pde.perona_malik import PeronaMalik as PeronaMalik
from .pde.perona_malik import perona_malik as perona_malik
from .pde.srad import SRAD as SRAD
from .pde.srad import srad as srad
from .pde.tv_flow import TVFlow as TVFlow
from .pde.tv_flow import tv_flow as tv_flow
from .scale_spaces import scale_space as scale_space
from .stabilized import Stabilized as Stabilized
