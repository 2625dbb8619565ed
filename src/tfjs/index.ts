export { fromLayersModel } from './layers-model.ts';
export {
  bufferToTensor,
  flush,
  type SharedTfjs,
  shareDevice,
  type Tfjs,
  type TfjsWebgpuModule,
  tensorToBuffer,
} from './share-device.ts';
