import source from '../../shaders/conv2d-int8-tensor.wgsl?raw';
import convParams from '../../shaders/lib/conv-int8-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import subgroupMatrix from '../../shaders/lib/subgroup-matrix.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from './lib/params.ts';

/**
 * int8 convolution and matrix product on tensor cores; shapes in `shaders/conv2d-int8-tensor.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInt8Tensor.create(device);
 * // 3x3 over two 5 x 5 images, 64 channels to 128, and a ReLU
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputWords: 16, outputWords: 32, groupWords: 16, groupTiles: 1, tileCount: 1, pool: 0, padWord: 0x80808080,
 *   zeroPoint: -5, low: -5, high: 127,
 * }).encode(pass);
 */
export const conv2dInt8TensorKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8-tensor',
  wgsl: [subgroupMatrix, exactFloat, requantize, epilogue, convPixel, convParams, source],
  bindings: /* @__PURE__ */ merged(conv2dInt8Bindings, {
    input: { access: 'read', type: 'vec4u' },
    weights: { access: 'read', type: 'vec4u' },
  }),
  params: conv2dInt8Params,
  constants: {
    MATRIX_M: ['8u', '16u', '32u'],
    MATRIX_N: ['8u', '16u', '32u'],
    MATRIX_K: ['16u', '32u', '64u'],
    MATRICES_M: ['2u', '4u'],
    MATRICES_N: ['2u', '4u'],
    SUBGROUPS_M: ['1u', '2u', '4u'],
    SUBGROUPS_N: ['1u', '2u', '4u'],
    SUBGROUP_SIZE: ['16u', '32u', '64u'],
    STEP_VECTORS: ['4u', '8u'],
    UNITS: ['1u', '16u'],
    OUTPUT: ['0u', '1u', '2u'],
    REQUANTIZE: [],
  },
  requires: ['subgroups', 'chromium-experimental-subgroup-matrix'],
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { SUBGROUPS_M = 2, MATRICES_M = 4, MATRIX_M = 16 }) =>
    Math.ceil(pixelCount / (SUBGROUPS_M * MATRICES_M * MATRIX_M)) * tileCount,
});
