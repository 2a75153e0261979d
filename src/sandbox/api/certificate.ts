/** The certificate of the server, and the authority that vouches for it; made at start, kept nowhere else. */

/** PEM texts: what the server presents, and what its clients have to trust. */
export interface ServingCertificate {
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks of a container and its host may differ. */
const GRACE_MS = 60 * 60 * 1000;

/** Issues an authority and, signed by it, a certificate for this machine, good for a year from `now`. */
export async function issueCertificate(now: number): Promise<ServingCertificate> {
  // The library's container insists on the Reflect metadata API, and then asks nothing of it for what we use.
  Object.assign(Reflect, { getMetadata: () => undefined, getOwnMetadata: () => undefined, defineMetadata: () => {} });
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const pair = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const [authorityKeys, serverKeys] = await Promise.all([pair(), pair()]);
  const valid = { notBefore: new Date(now - GRACE_MS), notAfter: new Date(now + 365 * DAY_MS) };
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=rungate sandbox authority',
    ...valid,
    keys: authorityKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const server = await x509.X509CertificateGenerator.create({
    subject: 'CN=rungate sandbox',
    issuer: authority.subject,
    ...valid,
    publicKey: serverKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
    ],
  });
  const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', serverKeys.privateKey));
  return {
    key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
    certificate: `${server.toString('pem').trimEnd()}\n`,
    authority: `${authority.toString('pem').trimEnd()}\n`,
  };
}
