import { check } from '../gpu/errors.ts';

/**
 * The ten classes; a label is an index into them.
 *
 * @example
 * CIFAR10_CLASSES[3]; // 'cat'
 */
export const CIFAR10_CLASSES = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
] as const;

/**
 * The published md5 of each file of the binary version, in hexadecimal.
 *
 * @example
 * CIFAR10_MD5.test_batch; // '803d5f7f4d78ea53de84dbe85f74fb6d'
 */
export const CIFAR10_MD5 = {
  data_batch_1: '5dd7e06a14cb22eb9f671a540d1b7c25',
  data_batch_2: '5ea93a67294ea407fff1d09f752e9692',
  data_batch_3: '942cd6a4bcdd0dd3c604fbe906cb4421',
  data_batch_4: 'ae636b3ba5c66a11e91e8cb52e771fcb',
  data_batch_5: '53f37980c15c3d472c316c40844f3f0d',
  test_batch: '803d5f7f4d78ea53de84dbe85f74fb6d',
} as const;

/** The files of the binary version, without `.bin`. */
export type Cifar10Batch = keyof typeof CIFAR10_MD5;

/** Pixels of one colour plane: 32 x 32. */
const PLANE = 1024;
/**
 * Bytes of an image, without its label.
 *
 * @example
 * CIFAR10_IMAGE_BYTES; // 3072
 */
export const CIFAR10_IMAGE_BYTES = 3 * PLANE;
/**
 * Bytes of a record: the label, then the red, green and blue planes.
 *
 * @example
 * CIFAR10_RECORD_BYTES; // 3073
 */
export const CIFAR10_RECORD_BYTES = 1 + CIFAR10_IMAGE_BYTES;

/** Images with their labels. */
export interface Cifar10Images {
  /** `count` x 32 x 32 x 3, NHWC, RGB from 0 to 255. */
  images: Uint8Array<ArrayBuffer>;
  /** `count` labels from 0 to 9, indices into {@link CIFAR10_CLASSES}. */
  labels: Uint8Array<ArrayBuffer>;
  count: number;
}

/**
 * Reads the CIFAR-10 binary version: records of 3,073 bytes, a label then the red, green and blue planes of
 * 32 x 32 bytes, row-major.
 *
 * Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
 *
 * @param bytes one batch file, or any whole number of its records
 * @throws LloydError when the length is no whole number of records, or a label passes 9
 * @example
 * const { images, labels, count } = parseCifar10(new Uint8Array(3073).fill(9, 0, 1));
 * CIFAR10_CLASSES[labels[0]]; // 'truck'; images.length is count * 32 * 32 * 3
 */
export function parseCifar10(bytes: Uint8Array): Cifar10Images {
  const count = bytes.length / CIFAR10_RECORD_BYTES;
  check(
    Number.isInteger(count),
    `a CIFAR-10 batch must be a multiple of ${CIFAR10_RECORD_BYTES} bytes`,
    bytes.length,
    'use the binary version of the data set, not the Python one',
  );
  const images = new Uint8Array(count * CIFAR10_IMAGE_BYTES);
  const labels = new Uint8Array(count);
  for (let image = 0; image < count; image++) {
    const label = bytes[image * CIFAR10_RECORD_BYTES];
    check(
      label < 10,
      `the label of image ${image} must be from 0 to 9`,
      label,
      'is this CIFAR-10, not CIFAR-100?',
    );
    labels[image] = label;
    const red = image * CIFAR10_RECORD_BYTES + 1;
    let to = image * CIFAR10_IMAGE_BYTES;
    for (let pixel = red; pixel < red + PLANE; pixel++) {
      images[to++] = bytes[pixel];
      images[to++] = bytes[pixel + PLANE];
      images[to++] = bytes[pixel + 2 * PLANE];
    }
  }
  return { images, labels, count };
}
