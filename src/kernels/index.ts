import { addInt8 } from './add-int8.ts';
import { averagePool2dKernel } from './average-pool2d.ts';
import { averagePool2dInt8Kernel } from './average-pool2d-int8.ts';
import { chooseQparamsKernel } from './choose-qparams.ts';
import { codebookDecode } from './codebook-decode.ts';
import { codebookExpandKernel } from './codebook-expand.ts';
import { concatInt8 } from './concat-int8.ts';
import { convInteger } from './conv-integer.ts';
import { conv2dKernel } from './conv2d.ts';
import { conv2dInt8Kernel } from './conv2d-int8.ts';
import { dequantizeLinearKernel } from './dequantize-linear.ts';
import { dequantizeLinearOnnx } from './dequantize-linear-onnx.ts';
import { dynamicQuantizeParams } from './dynamic-quantize-params.ts';
import { histogram } from './histogram.ts';
import { kmeansAccumulate } from './kmeans-accumulate.ts';
import { kmeansAccumulateWide } from './kmeans-accumulate-wide.ts';
import { kmeansAssign } from './kmeans-assign.ts';
import { kmeansFix } from './kmeans-fix.ts';
import { kmeansGroup } from './kmeans-group.ts';
import { kmeansTotals } from './kmeans-totals.ts';
import { kmeansUpdate } from './kmeans-update.ts';
import { loadImageKernel } from './load-image.ts';
import { matmulInt8Kernel } from './matmul-int8.ts';
import { matmulInteger } from './matmul-integer.ts';
import { maxPool2dKernel } from './max-pool2d.ts';
import { maxPool2dInt8Kernel } from './max-pool2d-int8.ts';
import { packCodesKernel } from './pack-codes.ts';
import { quantizeLinearKernel } from './quantize-linear.ts';
import { quantizeLinearOnnx } from './quantize-linear-onnx.ts';
import { reduceMinMaxKernel } from './reduce-min-max.ts';
import { requantize } from './requantize.ts';
import { unpackCodesKernel } from './unpack-codes.ts';

// Each kernel adds one import and one name, alphabetically; `kernels` is level 1 of the public surface.
export const kernels = {
  addInt8,
  averagePool2d: averagePool2dKernel,
  averagePool2dInt8: averagePool2dInt8Kernel,
  chooseQparams: chooseQparamsKernel,
  codebookDecode,
  codebookExpand: codebookExpandKernel,
  concatInt8,
  conv2d: conv2dKernel,
  conv2dInt8: conv2dInt8Kernel,
  convInteger,
  dequantizeLinear: dequantizeLinearKernel,
  dequantizeLinearOnnx,
  dynamicQuantizeParams,
  histogram,
  kmeansAccumulate,
  kmeansAccumulateWide,
  kmeansAssign,
  kmeansFix,
  kmeansGroup,
  kmeansTotals,
  kmeansUpdate,
  loadImage: loadImageKernel,
  matmulInt8: matmulInt8Kernel,
  matmulInteger,
  maxPool2d: maxPool2dKernel,
  maxPool2dInt8: maxPool2dInt8Kernel,
  packCodes: packCodesKernel,
  quantizeLinear: quantizeLinearKernel,
  quantizeLinearOnnx,
  reduceMinMax: reduceMinMaxKernel,
  requantize,
  unpackCodes: unpackCodesKernel,
};
