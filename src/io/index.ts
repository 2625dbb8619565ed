export {
  CIFAR10_CLASSES,
  CIFAR10_IMAGE_BYTES,
  CIFAR10_MD5,
  CIFAR10_RECORD_BYTES,
  type Cifar10Batch,
  type Cifar10Images,
  parseCifar10,
} from './cifar10.ts';
export {
  type CodebookFile,
  type CodebookTensor,
  packCodes,
  readCodebookFile,
  unpackCodes,
  writeCodebookFile,
} from './codebook-file.ts';
export { readNpy, readNpz } from './npy.ts';
export { readPth } from './pth.ts';
export { readSafetensors, type SafetensorsFile, writeSafetensors } from './safetensors.ts';
export {
  type DType,
  type DTypeArrays,
  elementCount,
  float16ToFloat32,
  float32ToFloat16,
  type Tensor,
  toFloat32,
} from './tensor.ts';
