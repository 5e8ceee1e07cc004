// Get a token with a client library, use it, and print what came of it as JSON.
// Standard input is an object: library, issuer, api, clientId, method, secret, key (a private JWK),
// ca, certificate and certificateKey (PEM, for mutual TLS), dpop (whether to bind the token).

import { readFileSync } from 'node:fs'
import https from 'node:https'

import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'

const wanted = JSON.parse(readFileSync(0, 'utf8'))
const parameters = { scope: 'read' }

function fetchWithCertificate(url, { method, headers, body }) {
  const options = { method, headers: Object.fromEntries(new Headers(headers)), ca: wanted.ca }
  Object.assign(options, { cert: wanted.certificate, key: wanted.certificateKey })
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, async (answer) => {
      const chunks = []
      for await (const chunk of answer) chunks.push(chunk)
      const { statusCode: status } = answer
      resolve(new Response(Buffer.concat(chunks), { status, headers: answer.headers }))
    })
    request.on('error', reject)
    request.end(body?.toString())
  })
}

async function authentication(library) {
  switch (wanted.method) {
    case 'client_secret_basic':
      return library.ClientSecretBasic(wanted.secret)
    case 'client_secret_post':
      return library.ClientSecretPost(wanted.secret)
    case 'client_secret_jwt':
      return library.ClientSecretJwt(wanted.secret)
    case 'private_key_jwt': {
      const { alg, kid } = wanted.key
      const parts = { ES256: { name: 'ECDSA', namedCurve: 'P-256' }, Ed25519: { name: 'Ed25519' } }
      const rsa = { name: { RS256: 'RSASSA-PKCS1-v1_5', PS256: 'RSA-PSS' }[alg], hash: 'SHA-256' }
      const { alg: _, ...jwk } = wanted.key
      const key = await crypto.subtle.importKey('jwk', jwk, parts[alg] ?? rsa, false, ['sign'])
      return library.PrivateKeyJwt({ key, kid })
    }
    default:
      return library.TlsClientAuth()
  }
}

async function withOpenidClient() {
  const execute = [openid.allowInsecureRequests]
  const options = { execute, algorithm: 'oauth2' }
  if (wanted.certificate) options[openid.customFetch] = fetchWithCertificate
  const auth = await authentication(openid)
  const config = await openid.discovery(new URL(wanted.issuer), wanted.clientId, {}, auth, options)
  const bound = wanted.dpop
    ? { DPoP: openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256')) }
    : undefined
  const token = await openid.clientCredentialsGrant(config, parameters, bound)
  const url = new URL(wanted.api)
  const answer = await openid.fetchProtectedResource(
    config, token.access_token, url, 'GET', undefined, undefined, bound)
  return [token, answer]
}

async function withOauth4webapi() {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const own = wanted.certificate ? { [oauth.customFetch]: fetchWithCertificate } : {}
  const issuer = new URL(wanted.issuer)
  const discovered = await oauth.discoveryRequest(
    issuer, { algorithm: 'oauth2', ...insecure, ...own })
  const server = await oauth.processDiscoveryResponse(issuer, discovered)
  const client = { client_id: wanted.clientId }
  const auth = await authentication(oauth)
  const bound = wanted.dpop
    ? { DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) }
    : {}
  const ask = async () => {
    const answer = await oauth.clientCredentialsGrantRequest(
      server, client, auth, parameters, { ...insecure, ...own, ...bound })
    return oauth.processClientCredentialsResponse(server, client, answer)
  }
  const token = await onceMore(ask)
  const use = () => oauth.protectedResourceRequest(
    token.access_token, 'GET', new URL(wanted.api), undefined, undefined,
    { ...insecure, ...own, ...bound })
  return [token, await onceMore(use)]
}

// The library has the nonce of the refusal by then; that a request is sent again is the caller's.
async function onceMore(send) {
  try {
    return await send()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return send()
  }
}

const libraries = { 'openid-client': withOpenidClient, oauth4webapi: withOauth4webapi }
const [token, answer] = await libraries[wanted.library]()
console.log(JSON.stringify(
  { token_type: token.token_type.toLowerCase(), status: answer.status, body: await answer.text() }))
