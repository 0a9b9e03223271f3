//! What models cost, by the user's own figures.

use std::str::FromStr;

use agent_runtime::event::Usage;

/// What a model costs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Price {
    model: String,
    /// Per million tokens.
    input: f64,
    output: f64,
}

impl FromStr for Price {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let amount = |text: &str| text.trim().parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
        let read = || {
            let (model, amounts) = text.rsplit_once('=')?;
            let (input, output) = amounts.split_once(':')?;
            Some(Self { model: model.trim().to_owned(), input: amount(input)?, output: amount(output)? })
        };
        read()
            .ok_or_else(|| "expected MODEL=INPUT:OUTPUT, the price of a million tokens each: gpt-5=1.25:10".to_owned())
    }
}

/// What a request cost: the price of the model that answered or, if it has none, of the one that was asked.
pub(crate) fn cost(prices: &[Price], models: [Option<&str>; 2], usage: &Usage) -> Option<f64> {
    let price = models.into_iter().flatten().find_map(|model| prices.iter().find(|price| price.model == model))?;
    #[expect(clippy::cast_precision_loss, reason = "tokens of a request")]
    let sum = usage.prompt_tokens as f64 * price.input + usage.completion_tokens as f64 * price.output;
    Some(sum / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_names_its_model_and_two_amounts() {
        let price = |model: &str| Price { model: model.to_owned(), input: 1.25, output: 10.0 };
        assert_eq!("gpt-5=1.25:10".parse(), Ok(price("gpt-5")));
        assert_eq!("a=llama3:8b=1.25:10".parse(), Ok(price("a=llama3:8b")));
        for text in ["gpt-5", "gpt-5=1", "gpt-5=1:-1", "gpt-5=x:1", "gpt-5=1:inf"] {
            assert!(text.parse::<Price>().is_err(), "{text}");
        }
    }
}
