import source from '../../shaders/conv2d-filter-gradient-tiled.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dFilterGradientBindings, conv2dFilterGradientParams } from './lib/params.ts';

/**
 * Gradient of a convolution by its weights, staged; shapes in `shaders/conv2d-filter-gradient-tiled.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dFilterGradientTiled.create(device);
 * // 3x3 over two 5 x 5 images, eight channels to 20, pixels in splits of 64
 * kernel.bind({ input, gradient, partial }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, inputVectors: 2,
 *   outputVectors: 5, pixelCount: 50, chunk: 64,
 * }).encode(pass);
 */
export const conv2dFilterGradientTiledKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-filter-gradient-tiled',
  wgsl: [filterGradient, source],
  bindings: conv2dFilterGradientBindings,
  params: conv2dFilterGradientParams,
  constants: {
    TILE_ROWS: ['8u', '16u', '32u'],
    TILE_COLUMNS: ['4u', '8u', '16u', '32u'],
    TILE_PIXELS: ['8u', '16u'],
    THREAD_ROWS: ['1u', '2u'],
    THREAD_COLUMNS: ['1u', '2u'],
  },
  check: checkWindow,
  workgroups: (
    { kernelHeight, kernelWidth, inputVectors, outputVectors, pixelCount, chunk },
    { TILE_ROWS = 16, TILE_COLUMNS = 16 },
  ) =>
    Math.ceil((kernelHeight * kernelWidth * inputVectors) / TILE_ROWS) *
    Math.ceil(outputVectors / TILE_COLUMNS) *
    Math.ceil(pixelCount / chunk),
});
