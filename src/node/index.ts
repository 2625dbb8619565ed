export type { AcquiredDevice, DeviceRequest } from '../gpu/device.ts';
export { type ChromiumLaunch, findChromium } from './chromium.ts';
export { type Cifar10Options, type Cifar10Split, loadCifar10 } from './cifar10.ts';
export { requestDefaultDevice } from './default-device.ts';
export { createNodeDevice, installNavigatorGpu } from './device.ts';
