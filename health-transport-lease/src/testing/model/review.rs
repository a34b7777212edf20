//! What the server answers when it is asked who somebody is, and what somebody may do.

use serde_json::Value;
use serde_json::json;

use super::Model;
use super::address::Address;
use super::address::Kind;
use super::answer;
use super::answer::Wrong;
use super::rights::Act;
use super::text;
use crate::RawResponse;

// === impl Model ===

impl Model {
    /// Lets this token be that user's: `username`, `uid`, `groups`, `extra`.
    pub fn know(&mut self, token: &str, user: Value) {
        self.tokens.insert(token.to_owned(), user);
    }

    /// Lets the token be nobody's.
    pub fn forget_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Lets the user do nothing any more.
    pub fn forbid(&mut self, user: &str) {
        self.rights.forbid(user);
    }

    pub(super) fn review(
        &self,
        address: &Address<'_>,
        mut review: Value,
    ) -> Result<RawResponse, RawResponse> {
        let spec = &review["spec"];
        let status = match address.kind {
            Kind::TokenReview => self.who(spec)?,
            Kind::SubjectAccessReview => self.whether(address, spec)?,
            Kind::Lease | Kind::SyncTarget => return Err(answer::no_such_page()),
        };
        review["metadata"] = json!({});
        review["status"] = status;
        Ok(answer::object(201, &review))
    }

    fn who(&self, spec: &Value) -> Result<Value, RawResponse> {
        let token = text(&spec["token"]);
        if token.is_empty() {
            let message = "token is required for TokenReview in authentication";
            return Err(answer::status(400, "BadRequest", message, None));
        }
        let status = self.tokens.get(token).map_or_else(
            || json!({ "user": {}, "error": "invalid bearer token" }),
            |user| json!({ "authenticated": true, "user": user, "audiences": ["model"] }),
        );
        Ok(status)
    }

    fn whether(&self, address: &Address<'_>, spec: &Value) -> Result<Value, RawResponse> {
        let asked = &spec["resourceAttributes"];
        let (user, groups) = (text(&spec["user"]), spec["groups"].as_array());
        let wrong = if asked.is_null() {
            let what = "exactly one of nonResourceAttributes or resourceAttributes must be \
                        specified";
            Some(Wrong::invalid("spec.resourceAttributes", "null", what))
        } else if user.is_empty() && groups.is_none_or(Vec::is_empty) {
            let what = "at least one of user or group must be specified";
            Some(Wrong::invalid("spec.user", "\"\"", what))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(answer::invalid(address, address.kind.name(), &[wrong]));
        }
        let resource = match text(&asked["subresource"]) {
            "" => text(&asked["resource"]).to_owned(),
            part => format!("{}/{part}", text(&asked["resource"])),
        };
        let act = Act {
            verb: text(&asked["verb"]),
            group: text(&asked["group"]),
            resource: &resource,
            name: text(&asked["name"]),
        };
        let allowed = self.rights.may(user, &act);
        let reason = if allowed {
            "access granted"
        } else {
            "access denied"
        };
        Ok(json!({ "allowed": allowed, "reason": reason }))
    }
}
