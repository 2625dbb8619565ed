import type { CompareRowName } from 'lloyd';

const number = (digits: number) =>
  new Intl.NumberFormat('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
const whole = number(0);
/** What rounds to nothing has no sign. */
const unsigned = (text: string) => text.replace(/^-(?=[0.]+$)/, '');

export const percent = (fraction: number, digits = 1) => `${number(digits).format(fraction * 100)} %`;
export const count = (value: number) => whole.format(value);
/** `1 image`, `2 images`. */
export const many = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
export const mib = (bytes: number) => `${number(bytes < 10 * 2 ** 20 ? 2 : 1).format(bytes / 2 ** 20)} MiB`;
export const bytesText = (bytes: number) =>
  bytes < 2 ** 20 ? `${number(1).format(bytes / 1024)} KiB` : mib(bytes);
export const rate = (value: number) => number(value < 10 ? 2 : value < 100 ? 1 : 0).format(value);
export const decibels = (value: number) =>
  Number.isFinite(value) ? `${unsigned(number(1).format(value))} dB` : 'exact';
export const ms = (value: number) => `${number(value < 1 ? 3 : value < 100 ? 2 : 0).format(value)} ms`;

/** `k-means 4 bit, fine-tuned` */
export function rowLabel(name: string): string {
  if (name === 'fp32') return 'fp32';
  const [method, bits, qat] = name.split('-');
  return `${method === 'kmeans' ? 'k-means' : 'linear'} ${bits} bit${qat ? ', fine-tuned' : ''}`;
}

/** `k-means 4 + QAT`, for narrow places. */
export const shortLabel = (name: string) =>
  rowLabel(name).replace(' bit', '').replace(', fine-tuned', ' QAT');

/** Which colour a row has everywhere on the page. */
export const colorOf = (name: string) => name.split('-')[0];

/** Names the classes are shown by. */
export { CIFAR10_CLASSES as classes } from 'lloyd/io';

/** Accuracy in percent and size in MiB as the lab published them, before and after QAT. */
export const published: { name: CompareRowName; accuracy: number; size: number }[] = [
  { name: 'fp32', accuracy: 92.95, size: 35.2 },
  { name: 'kmeans-8', accuracy: 92.79, size: 8.8 },
  { name: 'kmeans-4', accuracy: 83.03, size: 4.4 },
  { name: 'kmeans-2', accuracy: 10.0, size: 2.2 },
  { name: 'kmeans-4-qat', accuracy: 92.5, size: 4.4 },
  { name: 'kmeans-2-qat', accuracy: 91.68, size: 2.2 },
];

/** Probabilities of logits. */
export function softmax(logits: Float32Array): Float32Array {
  const top = Math.max(...logits);
  const powers = logits.map((x) => Math.exp(x - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((x) => x / sum);
}
