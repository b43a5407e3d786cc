"""The causal depthwise convolution with SiLU behind it, by kernels and in torch; `lib.models.ssm.convolution` chooses.

    cuda.py, convolution.cu   on a GPU: one kernel forward, two backward
    cpp.py, convolution.cpp   on a CPU, compiled on first use
    torch.py                  anywhere
    op.py                     all as an operator of torch, and autograd's view of the kernels

x (B, T, E) of any strides; past (B, K-1, E), the inputs before it, or None for zeros; weight (E, 1, K); bias (E) or
None. past is in x's dtype, weight and bias may be in float32 beside any x. The output is contiguous, in x's dtype.
"""
