/** A certificate for one loopback server, and the authority that vouches for it; both live as long as the process. */

/** PEM texts: what the server presents, and what its clients must trust. */
export interface LoopbackCertificate {
  readonly key: string;
  readonly certificate: string;
  readonly authority: string;
}

/** Issues a fresh authority and, signed by it, a server certificate for 127.0.0.1 and localhost, valid for a day. */
export async function loopbackCertificate(): Promise<LoopbackCertificate> {
  // The library's container insists on the Reflect metadata API and then asks nothing of it for what we use.
  Object.assign(Reflect, { getMetadata: () => undefined, getOwnMetadata: () => undefined, defineMetadata: () => {} });
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const pair = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const [authorityKeys, serverKeys] = [await pair(), await pair()];
  // An hour of grace: the clocks of a virtual machine and its host may differ.
  const notBefore = new Date(Date.now() - 3_600_000);
  const notAfter = new Date(Date.now() + 86_400_000);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=rungate test authority',
    notBefore,
    notAfter,
    keys: authorityKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const server = await x509.X509CertificateGenerator.create({
    subject: 'CN=127.0.0.1',
    issuer: authority.subject,
    notBefore,
    notAfter,
    publicKey: serverKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'ip', value: '127.0.0.1' },
        { type: 'dns', value: 'localhost' },
      ]),
    ],
  });
  const key = new Uint8Array(await crypto.subtle.exportKey('pkcs8', serverKeys.privateKey));
  return {
    key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
    certificate: server.toString('pem'),
    authority: authority.toString('pem'),
  };
}
