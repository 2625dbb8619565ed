import { add } from './add.ts';
import { addInt8 } from './add-int8.ts';
import { augmentImagesKernel } from './augment-images.ts';
import { averagePool2dKernel } from './average-pool2d.ts';
import { averagePool2dGradientKernel } from './average-pool2d-gradient.ts';
import { averagePool2dInt8Kernel } from './average-pool2d-int8.ts';
import { batchNormKernel } from './batch-norm.ts';
import { batchNormGradientKernel } from './batch-norm-gradient.ts';
import { batchNormGradientSumsKernel } from './batch-norm-gradient-sums.ts';
import { batchNormMergeKernel } from './batch-norm-merge.ts';
import { batchNormMergeWideKernel } from './batch-norm-merge-wide.ts';
import { batchNormStatisticsKernel } from './batch-norm-statistics.ts';
import { chooseQparamsKernel } from './choose-qparams.ts';
import { codebookDecode } from './codebook-decode.ts';
import { codebookExpandKernel } from './codebook-expand.ts';
import { codebookGatherKernel } from './codebook-gather.ts';
import { codebookGradientKernel } from './codebook-gradient.ts';
import { concat } from './concat.ts';
import { concatInt8 } from './concat-int8.ts';
import { conv2dKernel } from './conv2d.ts';
import { conv2dBroadcastKernel } from './conv2d-broadcast.ts';
import { conv2dFilterGradientKernel } from './conv2d-filter-gradient.ts';
import { conv2dFilterGradientBroadcastKernel } from './conv2d-filter-gradient-broadcast.ts';
import { conv2dFilterGradientTiledKernel } from './conv2d-filter-gradient-tiled.ts';
import { conv2dInputGradientKernel } from './conv2d-input-gradient.ts';
import { conv2dInputGradientBroadcastKernel } from './conv2d-input-gradient-broadcast.ts';
import { conv2dInt8Kernel } from './conv2d-int8.ts';
import { conv2dInt8BroadcastKernel } from './conv2d-int8-broadcast.ts';
import { conv2dInt8TensorKernel } from './conv2d-int8-tensor.ts';
import { conv2dInt8TiledKernel } from './conv2d-int8-tiled.ts';
import { conv2dInt8UnrolledKernel } from './conv2d-int8-unrolled.ts';
import { conv2dInt8WinogradKernel } from './conv2d-int8-winograd.ts';
import { conv2dTiledKernel } from './conv2d-tiled.ts';
import { conv2dTiledCodebookKernel } from './conv2d-tiled-codebook.ts';
import { conv2dTiledF16Kernel } from './conv2d-tiled-f16.ts';
import { conv2dUnrolledKernel } from './conv2d-unrolled.ts';
import { conv2dUnrolledBroadcastKernel } from './conv2d-unrolled-broadcast.ts';
import { conv2dWinogradKernel } from './conv2d-winograd.ts';
import { convolution } from './convolution.ts';
import { depthwiseConv2dKernel } from './depthwise-conv2d.ts';
import { depthwiseConv2dInt8Kernel } from './depthwise-conv2d-int8.ts';
import { depthwiseFilterGradientKernel } from './depthwise-filter-gradient.ts';
import { depthwiseInputGradientKernel } from './depthwise-input-gradient.ts';
import { dequantizeLinearKernel } from './dequantize-linear.ts';
import { dequantizeLinearOnnx } from './dequantize-linear-onnx.ts';
import { distillationLossKernel } from './distillation-loss.ts';
import { dynamicQuantizeParams } from './dynamic-quantize-params.ts';
import { elementWise } from './element-wise.ts';
import { elementWiseInteger } from './element-wise-integer.ts';
import { fakeQuantizeKernel } from './fake-quantize.ts';
import { fakeQuantizeGradientKernel } from './fake-quantize-gradient.ts';
import { gridSample } from './grid-sample.ts';
import { kmeansAccumulate } from './kmeans-accumulate.ts';
import { kmeansAccumulateWide } from './kmeans-accumulate-wide.ts';
import { kmeansAssign } from './kmeans-assign.ts';
import { kmeansKeys } from './kmeans-keys.ts';
import { kmeansTotals } from './kmeans-totals.ts';
import { kmeansUpdate } from './kmeans-update.ts';
import { loadImageKernel } from './load-image.ts';
import { matmul } from './matmul.ts';
import { matmulInt8Kernel } from './matmul-int8.ts';
import { matvecInt8Kernel } from './matvec-int8.ts';
import { maxPool2dKernel } from './max-pool2d.ts';
import { maxPool2dGradientKernel } from './max-pool2d-gradient.ts';
import { maxPool2dInt8Kernel } from './max-pool2d-int8.ts';
import { movingAverageKernel } from './moving-average.ts';
import { normalize } from './normalize.ts';
import { observeHistogramKernel } from './observe-histogram.ts';
import { observeRangeKernel } from './observe-range.ts';
import { packCodesKernel } from './pack-codes.ts';
import { pool } from './pool.ts';
import { quantizeLinearKernel } from './quantize-linear.ts';
import { quantizeLinearOnnx } from './quantize-linear-onnx.ts';
import { recurrent } from './recurrent.ts';
import { reduce } from './reduce.ts';
import { reduceMinMaxKernel } from './reduce-min-max.ts';
import { requantize } from './requantize.ts';
import { resample } from './resample.ts';
import { resizeChannelsKernel } from './resize-channels.ts';
import { retileWeightsKernel } from './retile-weights.ts';
import { scatter } from './scatter.ts';
import { sgdStepKernel } from './sgd-step.ts';
import { softmax } from './softmax.ts';
import { softmaxCrossEntropyKernel } from './softmax-cross-entropy.ts';
import { stepSizeGradientKernel } from './step-size-gradient.ts';
import { stridedCopy } from './strided-copy.ts';
import { sumSplitsKernel } from './sum-splits.ts';
import { sumSplitsInt8Kernel } from './sum-splits-int8.ts';
import { sumSplitsWideKernel } from './sum-splits-wide.ts';
import { tileWeightsKernel } from './tile-weights.ts';
import { topK } from './top-k.ts';
import { unpackCodesKernel } from './unpack-codes.ts';

// Each kernel adds one import and one name, alphabetically; `kernels` is level 1 of the public surface.
export const kernels = {
  add,
  addInt8,
  augmentImages: augmentImagesKernel,
  averagePool2d: averagePool2dKernel,
  averagePool2dGradient: averagePool2dGradientKernel,
  averagePool2dInt8: averagePool2dInt8Kernel,
  batchNorm: batchNormKernel,
  batchNormGradient: batchNormGradientKernel,
  batchNormGradientSums: batchNormGradientSumsKernel,
  batchNormMerge: batchNormMergeKernel,
  batchNormMergeWide: batchNormMergeWideKernel,
  batchNormStatistics: batchNormStatisticsKernel,
  chooseQparams: chooseQparamsKernel,
  codebookDecode,
  codebookExpand: codebookExpandKernel,
  codebookGather: codebookGatherKernel,
  codebookGradient: codebookGradientKernel,
  concat,
  concatInt8,
  convolution,
  conv2d: conv2dKernel,
  conv2dBroadcast: conv2dBroadcastKernel,
  conv2dFilterGradient: conv2dFilterGradientKernel,
  conv2dFilterGradientBroadcast: conv2dFilterGradientBroadcastKernel,
  conv2dFilterGradientTiled: conv2dFilterGradientTiledKernel,
  conv2dInputGradient: conv2dInputGradientKernel,
  conv2dInputGradientBroadcast: conv2dInputGradientBroadcastKernel,
  conv2dInt8: conv2dInt8Kernel,
  conv2dInt8Broadcast: conv2dInt8BroadcastKernel,
  conv2dInt8Tensor: conv2dInt8TensorKernel,
  conv2dInt8Tiled: conv2dInt8TiledKernel,
  conv2dInt8Unrolled: conv2dInt8UnrolledKernel,
  conv2dInt8Winograd: conv2dInt8WinogradKernel,
  conv2dTiled: conv2dTiledKernel,
  conv2dTiledCodebook: conv2dTiledCodebookKernel,
  conv2dTiledF16: conv2dTiledF16Kernel,
  conv2dUnrolled: conv2dUnrolledKernel,
  conv2dUnrolledBroadcast: conv2dUnrolledBroadcastKernel,
  conv2dWinograd: conv2dWinogradKernel,
  depthwiseConv2d: depthwiseConv2dKernel,
  depthwiseConv2dInt8: depthwiseConv2dInt8Kernel,
  depthwiseFilterGradient: depthwiseFilterGradientKernel,
  depthwiseInputGradient: depthwiseInputGradientKernel,
  dequantizeLinear: dequantizeLinearKernel,
  dequantizeLinearOnnx,
  distillationLoss: distillationLossKernel,
  dynamicQuantizeParams,
  elementWise,
  elementWiseInteger,
  fakeQuantize: fakeQuantizeKernel,
  fakeQuantizeGradient: fakeQuantizeGradientKernel,
  gridSample,
  kmeansAccumulate,
  kmeansAccumulateWide,
  kmeansAssign,
  kmeansKeys,
  kmeansTotals,
  kmeansUpdate,
  loadImage: loadImageKernel,
  matmul,
  matmulInt8: matmulInt8Kernel,
  matvecInt8: matvecInt8Kernel,
  maxPool2d: maxPool2dKernel,
  maxPool2dGradient: maxPool2dGradientKernel,
  maxPool2dInt8: maxPool2dInt8Kernel,
  movingAverage: movingAverageKernel,
  normalize,
  observeHistogram: observeHistogramKernel,
  observeRange: observeRangeKernel,
  packCodes: packCodesKernel,
  pool,
  quantizeLinear: quantizeLinearKernel,
  quantizeLinearOnnx,
  recurrent,
  reduce,
  reduceMinMax: reduceMinMaxKernel,
  requantize,
  resample,
  resizeChannels: resizeChannelsKernel,
  retileWeights: retileWeightsKernel,
  scatter,
  sgdStep: sgdStepKernel,
  softmax,
  softmaxCrossEntropy: softmaxCrossEntropyKernel,
  stepSizeGradient: stepSizeGradientKernel,
  stridedCopy,
  sumSplits: sumSplitsKernel,
  sumSplitsInt8: sumSplitsInt8Kernel,
  sumSplitsWide: sumSplitsWideKernel,
  tileWeights: tileWeightsKernel,
  topK,
  unpackCodes: unpackCodesKernel,
};
