/** How a device is asked for when the caller brings none. */
export interface DeviceRequest {
  /** `auto` takes the first that works of hardware, system software, SwiftShader; the others force one. */
  adapter?: 'auto' | 'system' | 'swiftshader';
  powerPreference?: GPUPowerPreference;
  /** Ask for experimental features too (subgroup matrix). Off in browsers unless the page opts in. */
  experimental?: boolean;
}

/** A device together with what is known of the adapter it came from. */
export interface AcquiredDevice {
  device: GPUDevice;
  info: GPUAdapterInfo;
  /** Where the device came from, for the line that tells the user. */
  source: 'caller' | 'hardware' | 'system-software' | 'swiftshader' | 'browser';
}

const WANTED_FEATURES = [
  'timestamp-query',
  'shader-f16',
  'subgroups',
  'subgroup-size-control',
  'chromium-experimental-subgroup-matrix',
];

const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxStorageBuffersPerShaderStage',
] as const;

/** The device descriptor this library asks an adapter for: every limit and feature it can put to use. */
export function deviceDescriptor(adapter: GPUAdapter): GPUDeviceDescriptor {
  return {
    label: 'lloyd',
    requiredFeatures: WANTED_FEATURES.filter((name) =>
      adapter.features.has(name as GPUFeatureName),
    ) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]])),
  };
}
