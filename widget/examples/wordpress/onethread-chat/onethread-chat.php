<?php
/**
 * Plugin Name: Onethread Chat
 * Description: The clinic's chat on every page: set the server and the site's key under Settings, Onethread Chat.
 * Version: 1.0.0
 * Requires at least: 6.3
 * Requires PHP: 7.4
 * License: Apache-2.0
 */

defined( 'ABSPATH' ) || exit;

const ONETHREAD_CHAT_FIELDS = array(
	'server' => 'Address of your Onethread, such as https://chat.your-clinic.example',
	'site'   => 'Key of this website, as it stands in clinic.yaml',
	'phone'  => 'Telephone number, shown until the chat is there, and where it cannot be had',
);

/** Returns a setting of this plugin. */
function onethread_chat_setting( string $name ): string {
	$settings = get_option( 'onethread_chat', array() );
	return is_array( $settings ) && isset( $settings[ $name ] ) ? (string) $settings[ $name ] : '';
}

/** Returns what was typed into the settings, as it may be kept. */
function onethread_chat_sanitize( $typed ): array {
	$typed = is_array( $typed ) ? $typed : array();
	return array(
		'server' => untrailingslashit( esc_url_raw( $typed['server'] ?? '', array( 'https', 'http' ) ) ),
		'site'   => substr( sanitize_text_field( $typed['site'] ?? '' ), 0, 64 ),
		'phone'  => preg_replace( '/[^0-9+ ()\/-]/', '', (string) ( $typed['phone'] ?? '' ) ),
	);
}

/** Prints the chat at the end of the page. */
function onethread_chat_footer(): void {
	$server = onethread_chat_setting( 'server' );
	$site   = onethread_chat_setting( 'site' );
	$phone  = onethread_chat_setting( 'phone' );
	if ( '' === $server || '' === $site ) {
		return;
	}
	?>
<onethread-chat site="<?php echo esc_attr( $site ); ?>" server="<?php echo esc_url( $server ); ?>"><?php if ( '' !== $phone ) : ?><a href="tel:<?php echo esc_attr( str_replace( ' ', '', $phone ) ); ?>"><?php echo esc_html( $phone ); ?></a><?php endif; ?></onethread-chat>
	<?php
	// It is small, loads by itself and waits for nobody: plugins that combine, delay or rewrite scripts are asked to leave it.
	wp_print_script_tag(
		array(
			'src'              => $server . '/widget/v1/onethread.js',
			'async'            => true,
			'data-no-optimize' => '1',
			'data-no-minify'   => '1',
			'data-cfasync'     => 'false',
			'nowprocket'       => true,
		)
	);
	if ( defined( 'ONETHREAD_IDENTITY_KEY' ) ) {
		wp_print_script_tag(
			array(
				'src'            => plugins_url( 'identity.js', __FILE__ ),
				'defer'          => true,
				'data-signed-in' => is_user_logged_in() ? '1' : '0',
				'data-url'       => rest_url( 'onethread/v1/identity' ),
				'data-nonce'     => is_user_logged_in() ? wp_create_nonce( 'wp_rest' ) : '',
			)
		);
	}
}
add_action( 'wp_footer', 'onethread_chat_footer' );

/** Answers who has signed in, signed: for them alone, and never out of a cache. */
function onethread_chat_identity(): WP_REST_Response {
	$user = wp_get_current_user();
	$now  = time();
	$said = array(
		'aud'  => onethread_chat_setting( 'site' ),
		'sub'  => 'wordpress-' . $user->ID,
		'iat'  => $now,
		'exp'  => $now + 300,
		'jti'  => bin2hex( random_bytes( 16 ) ),
		'name' => $user->display_name,
	);
	$base64   = static fn ( string $bytes ): string => rtrim( strtr( base64_encode( $bytes ), '+/', '-_' ), '=' );
	$unsigned = $base64( wp_json_encode( array( 'alg' => 'HS256', 'typ' => 'JWT' ) ) ) . '.' . $base64( wp_json_encode( $said ) );
	$token    = $unsigned . '.' . $base64( hash_hmac( 'sha256', $unsigned, ONETHREAD_IDENTITY_KEY, true ) );
	return new WP_REST_Response( array( 'token' => $token ), 200, array( 'Cache-Control' => 'no-store' ) );
}

add_action(
	'rest_api_init',
	static function (): void {
		if ( ! defined( 'ONETHREAD_IDENTITY_KEY' ) ) {
			return;
		}
		register_rest_route(
			'onethread/v1',
			'/identity',
			array(
				'methods'             => 'GET',
				'callback'            => 'onethread_chat_identity',
				'permission_callback' => 'is_user_logged_in',
			)
		);
	}
);

/** Prints the page of settings. */
function onethread_chat_page(): void {
	?>
<div class="wrap"><h1>Onethread Chat</h1><form method="post" action="options.php">
	<?php settings_fields( 'onethread_chat' ); ?>
	<?php foreach ( ONETHREAD_CHAT_FIELDS as $name => $label ) : ?>
<p><label><?php echo esc_html( $label ); ?><br>
<input class="regular-text" name="onethread_chat[<?php echo esc_attr( $name ); ?>]" value="<?php echo esc_attr( onethread_chat_setting( $name ) ); ?>"></label></p>
	<?php endforeach; ?>
	<?php submit_button(); ?>
</form></div>
	<?php
}

add_action(
	'admin_init',
	static function (): void {
		register_setting( 'onethread_chat', 'onethread_chat', array( 'sanitize_callback' => 'onethread_chat_sanitize' ) );
	}
);
add_action(
	'admin_menu',
	static function (): void {
		add_options_page( 'Onethread Chat', 'Onethread Chat', 'manage_options', 'onethread-chat', 'onethread_chat_page' );
	}
);
