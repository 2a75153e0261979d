/** Quantities, as Kubernetes writes amounts of memory and storage. */

/** A mantissa, then a binary or decimal suffix or an exponent. `E` alone is a suffix, with digits behind it an exponent. */
const QUANTITY = /^\+?(?<mantissa>\d+\.?\d*|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?$/;
const LONGEST = 64;

/**
 * Whether `text` is a quantity greater than nothing, as a request for storage has to be.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function isQuantity(text: string): boolean {
  if (text.length > LONGEST) return false;
  const mantissa = QUANTITY.exec(text)?.groups?.mantissa;
  return mantissa !== undefined && /[1-9]/.test(mantissa);
}
