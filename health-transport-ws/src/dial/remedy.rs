//! What to do about a certificate that is not believed.

use std::io;

use rustls::CertificateError;

/// What would be right, in words that follow what failed; nothing where the error says it itself.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; set caFile to the PEM of the authority that signed the hub's certificate"
        }
        // The library has no kind of its own for it.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "; the hub shows an authority's certificate: have that authority sign one for the hub, \
             and set caFile to the authority's"
        }
        _ => "",
    }
}
