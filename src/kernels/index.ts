import { averagePool2dInt8Kernel } from './average-pool2d-int8.ts';
import { averagePool2dKernel } from './average-pool2d.ts';
import { chooseQparamsKernel } from './choose-qparams.ts';
import { codebookDecode } from './codebook-decode.ts';
import { dequantizeLinearKernel } from './dequantize-linear.ts';
import { histogram } from './histogram.ts';
import { kmeansAccumulateWide } from './kmeans-accumulate-wide.ts';
import { kmeansAccumulate } from './kmeans-accumulate.ts';
import { kmeansAssign } from './kmeans-assign.ts';
import { kmeansFix } from './kmeans-fix.ts';
import { kmeansUpdate } from './kmeans-update.ts';
import { maxPool2dInt8Kernel } from './max-pool2d-int8.ts';
import { maxPool2dKernel } from './max-pool2d.ts';
import { packCodesKernel } from './pack-codes.ts';
import { quantizeLinearKernel } from './quantize-linear.ts';
import { reduceMinMaxKernel } from './reduce-min-max.ts';
import { unpackCodesKernel } from './unpack-codes.ts';

// Each kernel adds one import and one name, alphabetically; `kernels` is level 1 of the public surface.
export const kernels = {
  averagePool2d: averagePool2dKernel,
  averagePool2dInt8: averagePool2dInt8Kernel,
  chooseQparams: chooseQparamsKernel,
  codebookDecode,
  dequantizeLinear: dequantizeLinearKernel,
  histogram,
  kmeansAccumulate,
  kmeansAccumulateWide,
  kmeansAssign,
  kmeansFix,
  kmeansUpdate,
  maxPool2d: maxPool2dKernel,
  maxPool2dInt8: maxPool2dInt8Kernel,
  packCodes: packCodesKernel,
  quantizeLinear: quantizeLinearKernel,
  reduceMinMax: reduceMinMaxKernel,
  unpackCodes: unpackCodesKernel,
};
