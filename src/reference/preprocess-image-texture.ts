// One rule, one twin: texels are the same bytes.
export { resizePixels, writePixels } from './preprocess-image.ts';
