"""PyTorch's fused attention in bf16 on a CUDA device, by each of its backends (its own flash kernels, cuDNN's): forward
and backward of full-length sequences, without dropout, in TFLOP/s as `opbench --op jagged_attention --device cuda`
counts them. The medians of 5 runs of 20.

  python gpu_attention.py"""
import statistics

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

SHAPES = [(64, 12, 128, 64), (128, 12, 128, 32), (16, 12, 512, 64), (512, 12, 20, 32)]  # batch, heads, length, width
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def milliseconds(run, runs=20):
    times = []
    for _ in range(5):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(runs):
            run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / runs)
    return statistics.median(times)


torch.manual_seed(0)
for batch, heads, length, width in SHAPES:
    # as a packed product of queries, keys and values leaves them
    qkv = torch.randn(batch, length, 3, heads, width, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    dy = torch.randn(batch, heads, length, width, device="cuda", dtype=torch.bfloat16)
    flops = 4.0 * batch * heads * length * length * width
    for name, backend in BACKENDS.items():
        try:
            with sdpa_kernel(backend):
                attend = lambda: F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4).unbind(0))
                forward = milliseconds(attend)
                y = attend()
                both = milliseconds(lambda: torch.autograd.grad(y, qkv, dy, retain_graph=True))
        except RuntimeError as error:
            print(f"torch attention {name} {batch} x {heads} heads x {length} x {width}: {str(error).splitlines()[0]}")
            continue
        print(
            f"torch attention {name} {batch} x {heads} heads x {length} x {width}: forward {forward * 1e3:.1f} us, "
            f"{flops / forward * 1e-9:.1f} TFLOP/s; backward {both * 1e3:.1f} us, {2.5 * flops / both * 1e-9:.1f} TFLOP/s"
        )
