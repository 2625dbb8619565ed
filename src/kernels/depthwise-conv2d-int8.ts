import source from '../../shaders/depthwise-conv2d-int8.wgsl?raw';
import convParams from '../../shaders/lib/conv-int8-params.wgsl?raw';
import depthwise from '../../shaders/lib/depthwise.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from './lib/params.ts';

/**
 * int8 convolution of each channel by its own filter, with bias, clamp, 2x2 max-pool and requantization fused;
 * shapes in `shaders/depthwise-conv2d-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.depthwiseConv2dInt8.create(device); // 3x3 over two 5 x 5 images of 20 channels
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputWords: 5, outputWords: 5, groupWords: 1, padWord: 0, groupTiles: 2, tileCount: 2, pool: 0, zeroPoint: 0,
 *   low: -128, high: 127,
 * }).encode(pass);
 */
export const depthwiseConv2dInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'depthwise-conv2d-int8',
  wgsl: [exactFloat, requantize, epilogue, convParams, int8Buffers, depthwise, source],
  bindings: conv2dInt8Bindings,
  params: conv2dInt8Params,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: {
    MULTIPLIER: [],
    OUTPUT: ['0u', '1u', '2u'],
    REQUANTIZE: [],
  },
  check: checkWindow,
  workgroups: ({ pixelCount, outputWidth, outputWords, pool }, { WORKGROUP_SIZE, OUTPUT = 0 }) => {
    const strips = pool === 1 ? pixelCount / 4 : (pixelCount / outputWidth) * Math.ceil(outputWidth / 4);
    const vectors = OUTPUT === 0 ? outputWords : Math.ceil(outputWords / 4);
    return Math.ceil((strips * vectors) / WORKGROUP_SIZE);
  },
});
