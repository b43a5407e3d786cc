"""Operators of torch that do no more than a few operations for each number that they read or write.

A count of operations leaves them out: element-wise work and its gradients, reductions, running sums, normalisation,
losses, pooling and resampling, sorting, random numbers, copies, views, and questions about a tensor. torch itself marks
element-wise operators, reductions and views; the names here are those that it does not mark. An operator that is in
neither list is not taken to be free.
"""

import torch
from torch._ops import OpOverload

_MARKED = {torch.Tag.pointwise, torch.Tag.reduction, torch.Tag.view_copy, torch.Tag.inplace_view}

_ELEMENTWISE = """
_add_relu _amp_foreach_non_finite_check_and_unscale _amp_update_scale _dirichlet_grad
_fake_quantize_learnable_per_channel_affine _fake_quantize_learnable_per_channel_affine_backward
_fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_tensor_affine_backward
_fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fused_adagrad _fused_adam _fused_adamw _fused_dropout
_fused_moving_avg_obs_fq_helper _fused_moving_avg_obs_fq_helper_functional _fused_sgd _masked_scale _masked_softmax
_masked_softmax_backward _prelu_kernel _prelu_kernel_backward _thnn_fused_gru_cell _thnn_fused_gru_cell_backward
_thnn_fused_lstm_cell _thnn_fused_lstm_cell_backward_impl _transform_bias_rescale_qkv binary_cross_entropy
binary_cross_entropy_backward binary_cross_entropy_with_logits complex dequantize elu_backward
fake_quantize_per_channel_affine_cachemask fake_quantize_per_tensor_affine_cachemask fill floor_divide glu
glu_backward glu_backward_jvp glu_jvp hardshrink_backward hardsigmoid_backward hardswish hardswish_backward
hardtanh_backward huber_loss huber_loss_backward int_repr leaky_relu_backward linalg_cross log_sigmoid_backward
log_sigmoid_forward mse_loss mse_loss_backward native_dropout polar quantize_per_channel quantize_per_tensor
quantize_per_tensor_dynamic rrelu_with_noise rrelu_with_noise_backward rrelu_with_noise_functional smooth_l1_loss
smooth_l1_loss_backward soft_margin_loss soft_margin_loss_backward softplus_backward softshrink_backward zero
"""
_FOREACH = "clone copy max norm powsum zero"  # besides every element-wise operator, of many tensors at once
_REDUCTIONS = """
_aminmax _cummax_helper _cummin_helper _embedding_bag _embedding_bag_backward _embedding_bag_dense_backward
_embedding_bag_forward_only _embedding_bag_per_sample_weights_backward _histogramdd_bin_edges
_histogramdd_from_bin_cts _histogramdd_from_bin_tensors _is_all_true _is_any_true _logcumsumexp _nested_sum_backward
_segment_reduce_backward _sparse_csr_sum _sparse_sum _sparse_sum_backward allclose bincount cummax cummin cumprod
cumsum dist hash_tensor histc histogram kthvalue logcumsumexp median mode nanmedian segment_reduce trace
"""
_NORMALISATION_AND_LOSSES = """
_batch_norm_no_update _batch_norm_with_update _batch_norm_with_update_functional _fused_rms_norm
_fused_rms_norm_backward _log_softmax _log_softmax_backward_data _native_batch_norm_legit
_native_batch_norm_legit_functional _native_batch_norm_legit_no_training _nested_tensor_softmax_with_shape
_safe_softmax _softmax _softmax_backward_data _sparse_log_softmax _sparse_log_softmax_backward_data _sparse_softmax
_sparse_softmax_backward_data _weight_norm_interface _weight_norm_interface_backward batch_norm_backward
batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats
batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats cudnn_batch_norm
cudnn_batch_norm_backward embedding_renorm log_softmax miopen_batch_norm miopen_batch_norm_backward multi_margin_loss
multi_margin_loss_backward multilabel_margin_loss_backward multilabel_margin_loss_forward native_batch_norm
native_batch_norm_backward native_group_norm native_group_norm_backward native_layer_norm native_layer_norm_backward
native_norm nll_loss2d_backward nll_loss2d_forward nll_loss_backward nll_loss_forward renorm softmax
"""
_POOLING_AND_RESAMPLING = """
_adaptive_avg_pool2d _adaptive_avg_pool2d_backward _adaptive_avg_pool3d _adaptive_avg_pool3d_backward
_grid_sampler_2d_cpu_fallback _grid_sampler_2d_cpu_fallback_backward _upsample_bicubic2d_aa
_upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa _upsample_bilinear2d_aa_backward _upsample_lanczos2d_aa
_upsample_lanczos2d_aa_backward _upsample_nearest_exact1d _upsample_nearest_exact1d_backward _upsample_nearest_exact2d
_upsample_nearest_exact2d_backward _upsample_nearest_exact3d _upsample_nearest_exact3d_backward adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_avg_pool3d_backward adaptive_max_pool2d adaptive_max_pool2d_backward
adaptive_max_pool3d adaptive_max_pool3d_backward affine_grid_generator avg_pool1d avg_pool2d avg_pool2d_backward
avg_pool3d avg_pool3d_backward cudnn_grid_sampler cudnn_grid_sampler_backward fractional_max_pool2d
fractional_max_pool2d_backward fractional_max_pool3d fractional_max_pool3d_backward grid_sampler_2d
grid_sampler_2d_backward grid_sampler_3d grid_sampler_3d_backward max_pool2d_backward max_pool2d_with_indices
max_pool2d_with_indices_backward max_pool3d_with_indices max_pool3d_with_indices_backward max_unpool2d max_unpool3d
mkldnn_adaptive_avg_pool2d mkldnn_adaptive_avg_pool2d_backward mkldnn_max_pool2d mkldnn_max_pool2d_backward
mkldnn_max_pool3d mkldnn_max_pool3d_backward quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d
upsample_bicubic2d upsample_bicubic2d_backward upsample_bilinear2d upsample_bilinear2d_backward upsample_linear1d
upsample_linear1d_backward upsample_nearest1d upsample_nearest1d_backward upsample_nearest2d
upsample_nearest2d_backward upsample_nearest3d upsample_nearest3d_backward upsample_trilinear3d
upsample_trilinear3d_backward
"""
_SORTING_AND_SEARCHING = """
_unique _unique2 argsort bucketize isin masked_select multinomial nonzero nonzero_static searchsorted sort topk
unique_consecutive unique_dim unique_dim_consecutive
"""
_COPIES = """
_chunk_cat _coalesce _coalesced _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo
_convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu _copy_from _copy_from_and_resize
_cudnn_rnn_flatten_weight _index_put_impl _jagged_to_padded_dense_forward _lazy_clone _mkldnn_reshape
_mkldnn_transpose _nested_from_padded _nested_from_padded_and_nested_example _nested_from_padded_tensor
_nested_select_backward _nested_tensor_from_mask _nested_tensor_from_tensor_list _pack_padded_sequence
_padded_dense_to_jagged_forward _pin_memory _reshape_copy _resize_output _sparse_mask_projection _spdiags _stack
_to_copy _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr _to_sparse_csc _to_sparse_csr _unsafe_index
_unsafe_index_put _unsafe_masked_index _unsafe_masked_index_put_accumulate _unsafe_view as_strided as_strided_scatter
block_diag cat channel_shuffle col2im constant_pad_nd copy copy_sparse_to_sparse detach diag_embed diagonal_backward
diagonal_scatter embedding embedding_dense_backward flip gather im2col index index_add index_copy index_fill index_put
index_reduce index_select lift lu_unpack masked_scatter masked_scatter_backward mkldnn_reorder_conv2d_weight
mkldnn_reorder_conv3d_weight pixel_shuffle pixel_unshuffle put reflection_pad1d reflection_pad1d_backward
reflection_pad2d reflection_pad2d_backward reflection_pad3d reflection_pad3d_backward repeat repeat_interleave
replication_pad1d replication_pad1d_backward replication_pad2d replication_pad2d_backward replication_pad3d
replication_pad3d_backward resize resize_as resize_as_sparse roll rot90 scatter scatter_add scatter_reduce
select_backward select_scatter set slice_backward sparse_mask sparse_resize sparse_resize_and_clear squeeze stack
swapaxes swapdims t take to_mkldnn to_padded_tensor transpose tril triu unfold_backward unsafe_split
unsafe_split_with_sizes unsqueeze
"""
_MADE = """
_cudnn_init_dropout_state _efficientzerotensor _empty_affine_quantized _empty_per_channel_affine_quantized
_fill_mem_eff_dropout_mask _make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor
_new_zeros_with_same_feature_meta _philox_key_fold_in _philox_key_split _philox_normal _philox_uniform
_sample_dirichlet _sparse_compressed_tensor_with_dims _sparse_coo_tensor_with_dims
_sparse_coo_tensor_with_dims_and_tensors _standard_gamma _standard_gamma_grad arange bartlett_window bernoulli
binomial blackman_window cauchy empty empty_like empty_permuted empty_quantized empty_strided exponential eye
fft_fftfreq fft_rfftfreq from_file full full_like geometric hamming_window hann_window kaiser_window linspace
log_normal logspace new_empty new_empty_strided new_full new_ones new_zeros normal normal_functional ones ones_like
poisson rand rand_like randint randint_like randn randn_like random randperm range scalar_tensor
sparse_compressed_tensor sparse_coo_tensor tril_indices triu_indices uniform zeros zeros_like
"""
_QUESTIONS = """
_assert_async _assert_scalar _assert_tensor_metadata _dimI _dimV _functional_assert_async _functional_assert_scalar
_functional_sym_constrain_range _functional_sym_constrain_range_for_size _fused_sdp_choice _has_same_storage_numel
_linalg_check_errors _local_scalar_dense _make_dep_token _nested_compute_contiguous_strides_offsets
_nested_get_jagged_dummy _nested_get_lengths _nested_get_max_seqlen _nested_get_min_seqlen _nested_get_offsets
_nested_get_ragged_idx _nested_tensor_from_mask_left_aligned _nested_tensor_size _nested_tensor_storage_offsets
_nested_tensor_strides _nnz _print _use_cudnn_ctc_loss _validate_compressed_sparse_indices dense_dim is_coalesced
is_pinned is_same_size is_set_to q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale
q_zero_point qscheme record_stream sparse_dim sym_constrain_range sym_constrain_range_for_size sym_is_contiguous
sym_numel sym_size sym_storage_offset sym_stride
"""
_NAMES = [_ELEMENTWISE, _REDUCTIONS, _NORMALISATION_AND_LOSSES, _POOLING_AND_RESAMPLING, _SORTING_AND_SEARCHING]
_NAMES += [_COPIES, _MADE, _QUESTIONS]
FREE = frozenset(" ".join(_NAMES).split()) | {f"_foreach_{name}" for name in _FOREACH.split()}

# Of other libraries of operators: what is said between machines, notes for a profiler, weights laid out anew.
SPACES = ("_c10d_functional", "_c10d_functional_autograd", "c10d", "debugprims", "prim", "profiler", "symm_mem")
PACKED = ("linear_prepack", "linear_prepack_fp16", "linear_unpack", "conv2d_prepack", "conv2d_unpack")


def is_free(operator: OpOverload) -> bool:
    """Whether an operator is known to do no more than a few operations for each number that it reads or writes."""
    space, _, name = operator._schema.name.partition("::")
    if space in SPACES or (space == "quantized" and name in PACKED):
        return True
    if space == "prims":
        return bool(_MARKED & {*operator.tags}) or _is_view(operator)
    if space != "aten":
        return False
    plain = name if name.endswith("__") else name.removesuffix("_")  # in place
    return plain in FREE or _is_marked(plain.removeprefix("_foreach_")) or _is_view(operator)


def _is_marked(name: str) -> bool:
    """Whether torch marks an operator of ATen, in any of its forms."""
    forms = getattr(torch.ops.aten, name, None)
    return forms is not None and any(_MARKED & {*getattr(forms, form).tags} for form in forms.overloads())


def _is_view(operator: OpOverload) -> bool:
    """Whether all that an operator returns are views of what it was given."""
    returned = [one.alias_info for one in operator._schema.returns]
    return bool(returned) and all(alias is not None and not alias.is_write for alias in returned)
